import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import { PG } from "../../foundation/db.ts";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { EdgeConfigItem } from "../resource-rows.ts";
import type { DockTables } from "../rows.ts";

export type EdgeConfig = Selectable<DockTables["edge_configs"]>;
export type ItemChange = {
  readonly operation: "create" | "update" | "upsert" | "delete";
  readonly key: string;
  readonly value?: unknown;
  readonly description?: string | undefined;
};

/** Vercel's largest plan. Source: vercel.com/docs/edge-config/edge-config-limits. */
const MOST_BYTES = 512 * 1_024;
const MOST_CONFIGS = 100;

/** @throws AppError `conflict` for a slug that is taken. */
export async function createEdgeConfig(
  dock: Dock,
  slug: string,
  values: Readonly<Record<string, unknown>>,
): Promise<EdgeConfig> {
  checkSlug(slug);
  if ((await listEdgeConfigs(dock)).length >= MOST_CONFIGS) {
    throw new AppError("bad_request", `There are ${MOST_CONFIGS} edge configs already.`, {
      hint: "Delete one first.",
    });
  }
  const now = dock.clock.now();
  const at = now.getTime();
  const items: Record<string, EdgeConfigItem> = {};
  for (const [key, value] of Object.entries(values)) {
    checkKey(key);
    items[key] = { value, createdAt: at, updatedAt: at };
  }
  checkSize(items);
  return dock.db.transaction().execute(async (tx) => {
    const id = dock.ids("ecfg");
    const row = await tx
      .insertInto("edge_configs")
      .values({
        id,
        slug,
        items: JSON.stringify(items),
        digest: digestOf(items),
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
      .catch((error) => {
        throw takenOr(error, slug);
      });
    await dock.hooks.emit(tx, "edge-config.created", { more: { edgeConfig: { id, slug } } });
    return row;
  });
}

export async function listEdgeConfigs(dock: Pick<Dock, "db">): Promise<EdgeConfig[]> {
  return dock.db.selectFrom("edge_configs").selectAll().orderBy("created_at").orderBy("id").execute();
}

/** @throws AppError `not_found`. */
export async function getEdgeConfig(dock: Pick<Dock, "db">, id: string): Promise<EdgeConfig> {
  const row = await dock.db.selectFrom("edge_configs").selectAll().where("id", "=", id).executeTakeFirst();
  if (row) return row;
  throw new AppError("not_found", `There is no edge config "${id.slice(0, 100)}".`);
}

export async function renameEdgeConfig(dock: Dock, id: string, slug: string): Promise<EdgeConfig> {
  checkSlug(slug);
  await getEdgeConfig(dock, id);
  return dock.db
    .updateTable("edge_configs")
    .set({ slug, updated_at: dock.clock.now() })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow()
    .catch((error) => {
      throw takenOr(error, slug);
    });
}

export async function setDefinition(dock: Dock, id: string, definition: unknown): Promise<void> {
  await getEdgeConfig(dock, id);
  await dock.db
    .updateTable("edge_configs")
    .set({
      definition: definition === null ? null : JSON.stringify(definition),
      updated_at: dock.clock.now(),
    })
    .where("id", "=", id)
    .execute();
}

export async function deleteEdgeConfig(dock: Dock, id: string): Promise<void> {
  const { slug } = await getEdgeConfig(dock, id);
  await dock.db.transaction().execute(async (tx) => {
    await tx.deleteFrom("edge_configs").where("id", "=", id).execute();
    await dock.hooks.emit(tx, "edge-config.deleted", { more: { edgeConfig: { id, slug } } });
  });
}

/** All of the changes, or none. @throws AppError `conflict` for a key to be created that is there. */
export async function changeItems(dock: Dock, id: string, changes: readonly ItemChange[]): Promise<void> {
  const now = dock.clock.now();
  await dock.db.transaction().execute(async (tx) => {
    const row = await tx
      .selectFrom("edge_configs")
      .select(["items", "slug"])
      .where("id", "=", id)
      .forUpdate()
      .executeTakeFirst();
    if (!row) throw new AppError("not_found", `There is no edge config "${id.slice(0, 100)}".`);
    const items = changedItems(row.items, changes, now.getTime());
    checkSize(items);
    await tx
      .updateTable("edge_configs")
      .set({ items: JSON.stringify(items), digest: digestOf(items), updated_at: now })
      .where("id", "=", id)
      .execute();
    await dock.hooks.emit(tx, "edge-config.items.updated", { more: { edgeConfig: { id, slug: row.slug } } });
  });
}

/** Pure. */
export function changedItems(
  before: Readonly<Record<string, EdgeConfigItem>>,
  changes: readonly ItemChange[],
  at: number,
): Record<string, EdgeConfigItem> {
  const items = new Map(Object.entries(before));
  for (const change of changes) {
    checkKey(change.key);
    const known = items.get(change.key);
    if (change.operation === "create" && known) {
      throw new AppError("conflict", `The item "${change.key}" exists already.`, {
        hint: "Update or upsert it.",
      });
    }
    if (!known && (change.operation === "update" || change.operation === "delete")) {
      throw new AppError("not_found", `There is no item "${change.key}".`, { hint: "Create or upsert it." });
    }
    if (change.operation === "delete") items.delete(change.key);
    else {
      const description = change.description ?? known?.description;
      items.set(change.key, {
        value: change.value === undefined ? (known?.value ?? null) : change.value,
        ...(description === undefined ? {} : { description }),
        createdAt: known?.createdAt ?? at,
        updatedAt: at,
      });
    }
  }
  return Object.fromEntries(items);
}

/** What a reader gets: the values alone. */
export function valuesOf(items: EdgeConfig["items"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(items).map(([key, item]) => [key, item.value]));
}

export function sizeOf(items: EdgeConfig["items"]): number {
  return Buffer.byteLength(JSON.stringify(valuesOf(items)));
}

function digestOf(items: EdgeConfig["items"]): string {
  return createHash("sha256")
    .update(JSON.stringify(valuesOf(items)))
    .digest("hex");
}

function checkSize(items: EdgeConfig["items"]): void {
  const bytes = sizeOf(items);
  if (bytes <= MOST_BYTES) return;
  throw new AppError("too_large", `The items are ${bytes} bytes; an edge config holds ${MOST_BYTES}.`);
}

function checkKey(key: string): void {
  if (/^[A-Za-z0-9_-]{1,256}$/.test(key) && key !== "__proto__") return;
  throw new AppError("bad_request", `"${key.slice(0, 100)}" is not a key.`, {
    hint: "Use up to 256 letters, digits, '_' and '-'.",
  });
}

function checkSlug(slug: string): void {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(slug)) return;
  throw new AppError("bad_request", `"${slug.slice(0, 100)}" is not a name of an edge config.`, {
    hint: "Use up to 64 letters, digits, '_' and '-'.",
  });
}

function takenOr(error: unknown, slug: string): unknown {
  if (errorCodeOf(error) !== PG.uniqueViolation) return error;
  return new AppError("conflict", `There is an edge config "${slug}" already.`, { cause: error });
}
