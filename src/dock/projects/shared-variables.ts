import { type Selectable, sql } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { DockTables, DockTx } from "../rows.ts";
import { getProject } from "./queries.ts";

/** A variable of the team, for the projects that it is linked to. A project's own one of the same key wins. */
export type SharedVariable = Selectable<DockTables["shared_variables"]>;

export type SharedChanges = {
  readonly key?: string | undefined;
  readonly value?: string | undefined;
  readonly type?: SharedVariable["type"] | undefined;
  readonly targets?: readonly string[] | undefined;
  readonly projectIds?: readonly string[] | undefined;
  readonly comment?: string | null | undefined;
};

/** @throws AppError `conflict` for a key that is there for one of the targets and projects already. */
export async function createShared(
  dock: Dock,
  input: Required<Omit<SharedChanges, "comment">> & { comment: string | null },
): Promise<SharedVariable> {
  const id = dock.ids("env");
  const values = await valuesOf(dock, id, input);
  await refuseSame(dock, {
    id,
    key: input.key ?? "",
    targets: input.targets ?? [],
    projectIds: values.project_ids ?? [],
  });
  const now = dock.clock.now();
  return dock.db
    .insertInto("shared_variables")
    .values({
      id,
      key: input.key ?? "",
      type: input.type ?? "encrypted",
      sealed: dock.secrets.seal(input.value ?? "", id),
      targets: [...(input.targets ?? [])],
      project_ids: values.project_ids ?? [],
      comment: input.comment,
      created_at: now,
      updated_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function updateShared(dock: Dock, id: string, changes: SharedChanges): Promise<SharedVariable> {
  const row = await getShared(dock, id);
  if (row.type === "sensitive" && changes.type !== undefined && changes.type !== "sensitive") {
    throw new AppError("bad_request", `The variable "${row.key}" is sensitive and stays so.`, {
      hint: "Delete it and create it again.",
    });
  }
  const values = await valuesOf(dock, id, changes);
  await refuseSame(dock, {
    id,
    key: changes.key ?? row.key,
    targets: changes.targets ?? row.targets,
    projectIds: values.project_ids ?? row.project_ids,
  });
  return dock.db
    .updateTable("shared_variables")
    .set({ ...values, updated_at: dock.clock.now() })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

async function valuesOf(dock: Dock, id: string, changes: SharedChanges) {
  const projectIds = changes.projectIds && (await existing(dock, changes.projectIds));
  return {
    ...(changes.key === undefined ? {} : { key: changes.key }),
    ...(changes.type === undefined ? {} : { type: changes.type }),
    ...(changes.value === undefined ? {} : { sealed: dock.secrets.seal(changes.value, id) }),
    ...(changes.targets === undefined ? {} : { targets: [...changes.targets] }),
    ...(changes.comment === undefined ? {} : { comment: changes.comment }),
    ...(projectIds === undefined ? {} : { project_ids: projectIds }),
  };
}

async function existing(dock: Dock, projects: readonly string[]): Promise<string[]> {
  const ids = new Set<string>();
  for (const project of projects) ids.add((await getProject(dock.db, project)).id);
  return [...ids];
}

async function refuseSame(
  dock: Dock,
  one: { id: string; key: string; targets: readonly string[]; projectIds: readonly string[] },
): Promise<void> {
  const same = (await listShared(dock.db)).find(
    (row) =>
      row.id !== one.id &&
      row.key === one.key &&
      row.targets.some((target) => one.targets.includes(target)) &&
      row.project_ids.some((id) => one.projectIds.includes(id)),
  );
  if (!same) return;
  throw new AppError(
    "conflict",
    `The shared variable "${one.key}" exists for one of these projects already.`,
    {
      hint: `Update ${same.id}, or unlink it first.`,
    },
  );
}

export async function listShared(db: DockTx): Promise<SharedVariable[]> {
  return db.selectFrom("shared_variables").selectAll().orderBy("created_at", "desc").orderBy("id").execute();
}

/** Those of a project for a target. */
export async function sharedOf(db: DockTx, projectId: string, target: string): Promise<SharedVariable[]> {
  return db
    .selectFrom("shared_variables")
    .selectAll()
    .where(sql<boolean>`${projectId} = any(project_ids)`)
    .where(sql<boolean>`${target} = any(targets)`)
    .orderBy("created_at")
    .execute();
}

/** @throws AppError `not_found`. */
export async function getShared(dock: Dock, id: string): Promise<SharedVariable> {
  const row = await dock.db
    .selectFrom("shared_variables")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirst();
  if (row) return row;
  throw new AppError("not_found", `There is no shared variable "${id.slice(0, 100)}".`);
}

export async function deleteShared(dock: Dock, id: string): Promise<void> {
  await getShared(dock, id);
  await dock.db.deleteFrom("shared_variables").where("id", "=", id).execute();
}
