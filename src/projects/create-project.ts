import { type AccessTables, type Actor, audit, requireRole } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { Ids } from "../foundation/ids.ts";
import { checkProjectName } from "./names.ts";
import { claimTargetProject, fromRow, getProject, type Project } from "./queries.ts";
import type { ProjectTables } from "./tables.ts";

export type CreateProjectDeps = {
  readonly db: Database<ProjectTables & AccessTables>;
  readonly clock: Clock;
  readonly ids: Ids;
};

/** Makes a project, or finds the one of that name: idempotent by name. `created` tells which. */
export async function createProject(
  deps: CreateProjectDeps,
  actor: Actor,
  input: { name: string },
): Promise<{ project: Project; created: boolean }> {
  requireRole(actor, "deployer");
  checkProjectName(input.name);
  await requireFreeName(deps.db, input.name);
  const id = deps.ids("prj");
  const at = deps.clock.now();
  return deps.db.transaction().execute(async (tx) => {
    const row = await tx
      .insertInto("projects")
      .values({ id, name: input.name, git_url: null, target_project_id: null, created_at: at })
      .onConflict((conflict) => conflict.column("name").doNothing())
      .returningAll()
      .executeTakeFirst();
    if (!row) return { project: await getProject(tx, input.name), created: false };
    // At once, so that no service of another project takes its hosts before its first deployment.
    await claimTargetProject(tx, input.name, id);
    const details = { name: input.name };
    await audit(tx, { actor, action: "project.create", subject: { type: "project", id }, details, at });
    return { project: fromRow(row), created: true };
  });
}

/** @throws AppError `conflict` when a service of another project has its hosts. */
async function requireFreeName(db: CreateProjectDeps["db"], name: string): Promise<void> {
  const owner = await db
    .selectFrom("target_projects")
    .innerJoin("projects", "projects.id", "target_projects.project_id")
    .select("projects.name")
    .where("target_projects.name", "=", name)
    .executeTakeFirst();
  if (!owner || owner.name === name) return;
  throw new AppError(
    "conflict",
    `The hosts of "${name}" belong to a service of the project "${owner.name}".`,
    {
      hint: "Choose another name.",
    },
  );
}
