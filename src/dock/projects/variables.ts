import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { DockTx, VariableType } from "../rows.ts";
import { VercelError } from "../vercel-error.ts";
import { listVariables, type Project, type Variable } from "./queries.ts";

export type VariableInput = {
  readonly key: string;
  readonly value: string;
  readonly type: VariableType;
  readonly targets: readonly string[];
  readonly customEnvironmentIds: readonly string[];
  readonly gitBranch: string | null;
  readonly comment: string | null;
};

/**
 * Stores a variable. With `upsert` one of the same key for the same targets is replaced; without, it is refused.
 * Values are sealed under the row's id.
 */
export async function saveVariable(
  dock: Dock,
  project: Project,
  input: VariableInput,
  upsert: boolean,
): Promise<Variable> {
  const existing = await listVariables(dock.db, project.id);
  const same = existing.find((row) => row.key === input.key && overlaps(row, input));
  if (same && !upsert) {
    throw new VercelError(
      "conflict",
      "ENV_CONFLICT",
      `The variable "${input.key}" exists for one of these targets already.`,
      {
        hint: "Edit it, or create it with ?upsert=true.",
        fields: { envVarKey: input.key, envVarId: same.id, target: same.targets },
      },
    );
  }
  const now = dock.clock.now();
  const id = same?.id ?? dock.ids("env");
  const values = {
    key: input.key,
    type: input.type,
    sealed: dock.secrets.seal(input.value, id),
    targets: [...input.targets],
    custom_environment_ids: [...input.customEnvironmentIds],
    git_branch: input.gitBranch,
    comment: input.comment,
    updated_at: now,
  };
  return dock.db.transaction().execute(async (tx) => {
    const row = await tx
      .insertInto("variables")
      .values({ id, project_id: project.id, created_at: now, ...values })
      .onConflict((conflict) => conflict.column("id").doUpdateSet(values))
      .returningAll()
      .executeTakeFirstOrThrow();
    await tell(dock, tx, same ? "updated" : "created", row);
    return row;
  });
}

/** Webhooks learn the key, never the value. */
async function tell(
  dock: Dock,
  tx: DockTx,
  what: "created" | "updated" | "deleted",
  row: Variable,
): Promise<void> {
  const variable = { id: row.id, key: row.key, type: row.type, target: row.targets };
  const about = { projectId: row.project_id, more: { envVar: variable } };
  await dock.hooks.emit(tx, `project.env-variable.${what}`, about);
}

function overlaps(row: Variable, input: VariableInput): boolean {
  if (row.git_branch !== input.gitBranch) return false;
  const targets = row.targets.some((target) => input.targets.includes(target));
  return targets || row.custom_environment_ids.some((id) => input.customEnvironmentIds.includes(id));
}

/** @throws AppError `not_found`; `bad_request` where a sensitive variable would become a readable one. */
export async function editVariable(
  dock: Dock,
  project: Project,
  id: string,
  changes: Partial<VariableInput>,
): Promise<Variable> {
  const row = await getVariable(dock, project, id);
  if (row.type === "sensitive" && changes.type !== undefined && changes.type !== "sensitive") {
    throw new AppError("bad_request", `The variable "${row.key}" is sensitive and stays so.`, {
      hint: "Delete it and create it again.",
    });
  }
  return dock.db.transaction().execute(async (tx) => {
    const edited = await tx
      .updateTable("variables")
      .set({
        ...(changes.key === undefined ? {} : { key: changes.key }),
        ...(changes.type === undefined ? {} : { type: changes.type }),
        ...(changes.value === undefined ? {} : { sealed: dock.secrets.seal(changes.value, id) }),
        ...(changes.targets === undefined ? {} : { targets: [...changes.targets] }),
        ...(changes.customEnvironmentIds === undefined
          ? {}
          : { custom_environment_ids: [...changes.customEnvironmentIds] }),
        ...(changes.gitBranch === undefined ? {} : { git_branch: changes.gitBranch }),
        ...(changes.comment === undefined ? {} : { comment: changes.comment }),
        updated_at: dock.clock.now(),
      })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await tell(dock, tx, "updated", edited);
    return edited;
  });
}

export async function getVariable(dock: Dock, project: Project, id: string): Promise<Variable> {
  const row = (await listVariables(dock.db, project.id)).find((one) => one.id === id);
  if (row) return row;
  throw new AppError("not_found", `The project "${project.name}" has no variable "${id}".`);
}

export async function deleteVariable(dock: Dock, project: Project, id: string): Promise<Variable> {
  const row = await getVariable(dock, project, id);
  await dock.db.transaction().execute(async (tx) => {
    await tx.deleteFrom("variables").where("id", "=", id).execute();
    await tell(dock, tx, "deleted", row);
  });
  return row;
}
