import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import { randomText } from "../../foundation/ids.ts";
import type { Dock } from "../dock.ts";
import type { DockTables } from "../rows.ts";
import { getEdgeConfig } from "./edge-configs.ts";

/** Opens one edge config for reading, and nothing else. */
export type EdgeConfigToken = Selectable<DockTables["edge_config_tokens"]>;

export async function createToken(
  dock: Dock,
  edgeConfigId: string,
  label: string,
): Promise<{ id: string; token: string }> {
  await getEdgeConfig(dock, edgeConfigId);
  const id = dock.ids("ecfgt");
  const token = randomText(36);
  await dock.db
    .insertInto("edge_config_tokens")
    .values({
      id,
      edge_config_id: edgeConfigId,
      label,
      hash: hashOf(token),
      sealed: dock.secrets.seal(token, id),
      created_at: dock.clock.now(),
    })
    .execute();
  return { id, token };
}

export async function listTokens(dock: Dock, edgeConfigId: string): Promise<EdgeConfigToken[]> {
  await getEdgeConfig(dock, edgeConfigId);
  return dock.db
    .selectFrom("edge_config_tokens")
    .selectAll()
    .where("edge_config_id", "=", edgeConfigId)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}

/** By the token itself, or its id. @throws AppError `not_found`. */
export async function getToken(
  dock: Dock,
  edgeConfigId: string,
  tokenOrId: string,
): Promise<EdgeConfigToken> {
  const hash = hashOf(tokenOrId);
  const found = (await listTokens(dock, edgeConfigId)).find(
    (row) => row.id === tokenOrId || row.hash === hash,
  );
  if (found) return found;
  throw new AppError("not_found", "The edge config has no such token.");
}

export async function deleteTokens(
  dock: Dock,
  edgeConfigId: string,
  tokensOrIds: readonly string[],
): Promise<void> {
  const hashes = new Set(tokensOrIds.map(hashOf));
  const gone = (await listTokens(dock, edgeConfigId)).filter(
    (row) => tokensOrIds.includes(row.id) || hashes.has(row.hash),
  );
  if (gone.length === 0) return;
  await dock.db
    .deleteFrom("edge_config_tokens")
    .where(
      "id",
      "in",
      gone.map((row) => row.id),
    )
    .execute();
}

/** Whether a token opens this edge config. The look-up is by hash: its time tells nothing of the token. */
export async function opens(dock: Pick<Dock, "db">, edgeConfigId: string, token: string): Promise<boolean> {
  const row = await dock.db
    .selectFrom("edge_config_tokens")
    .select("id")
    .where("hash", "=", hashOf(token))
    .where("edge_config_id", "=", edgeConfigId)
    .executeTakeFirst();
  return row !== undefined;
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
