import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { Project } from "../projects/queries.ts";
import type { CheckBlocks, CheckRequires } from "../resource-rows.ts";
import { listProjectChecks, type ProjectCheck } from "./queries.ts";
import { settleChecks } from "./settle.ts";

export type CheckInput = {
  readonly name: string;
  readonly requires: CheckRequires;
  readonly blocks: CheckBlocks;
  /** Environments; empty: all. */
  readonly targets: readonly string[];
  readonly timeoutS: number;
  readonly source: Readonly<Record<string, unknown>>;
  readonly isRerequestable: boolean;
};

const MOST_CHECKS = 50;

/** From the next deployment on each one of the project gets a run of it. */
export async function createProjectCheck(
  dock: Dock,
  project: Project,
  input: CheckInput,
): Promise<ProjectCheck> {
  if ((await listProjectChecks(dock.db, project.id)).length >= MOST_CHECKS) {
    throw new AppError("bad_request", `The project "${project.name}" has ${MOST_CHECKS} checks already.`, {
      hint: "Delete one first.",
    });
  }
  const now = dock.clock.now();
  return dock.db
    .insertInto("project_checks")
    .values({
      id: dock.ids("chk"),
      project_id: project.id,
      ...rowOf(input),
      created_at: now,
      updated_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Runs that exist keep the terms that they began with. */
export async function updateProjectCheck(
  dock: Dock,
  project: Project,
  id: string,
  changes: Partial<CheckInput>,
): Promise<ProjectCheck> {
  const row = await getProjectCheck(dock, project, id);
  const input: CheckInput = {
    name: row.name,
    requires: row.requires,
    blocks: row.blocks,
    targets: row.targets,
    timeoutS: row.timeout_s,
    source: row.source,
    isRerequestable: row.is_rerequestable,
    ...changes,
  };
  return dock.db
    .updateTable("project_checks")
    .set({ ...rowOf(input), updated_at: dock.clock.now() })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

function rowOf(input: CheckInput) {
  return {
    name: input.name,
    requires: input.requires,
    blocks: input.blocks,
    targets: [...input.targets],
    timeout_s: input.timeoutS,
    source: JSON.stringify(input.source),
    is_rerequestable: input.isRerequestable,
  };
}

/** @throws AppError `not_found`. */
export async function getProjectCheck(dock: Dock, project: Project, id: string): Promise<ProjectCheck> {
  const row = (await listProjectChecks(dock.db, project.id)).find((check) => check.id === id);
  if (row) return row;
  throw new AppError("not_found", `The project "${project.name}" has no check "${id.slice(0, 100)}".`);
}

/** Its runs go with it: whom they held back is let go. */
export async function deleteProjectCheck(dock: Dock, project: Project, id: string): Promise<void> {
  await getProjectCheck(dock, project, id);
  const waiting = await dock.db
    .selectFrom("check_runs as r")
    .innerJoin("deployments as d", "d.id", "r.deployment_id")
    .select("d.id")
    .distinct()
    .where("r.check_id", "=", id)
    .where("d.checks_state", "in", ["pending", "failed"])
    .execute();
  await dock.db.deleteFrom("project_checks").where("id", "=", id).execute();
  for (const deployment of waiting) await settleChecks(dock, deployment.id);
}
