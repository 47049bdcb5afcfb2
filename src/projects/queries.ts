import type { Database, Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { closest } from "./suggest.ts";
import type { ProjectTables } from "./tables.ts";

/** All that reading a project needs. */
type ProjectRows = Pick<ProjectTables, "projects">;

export type Project = {
  readonly id: string;
  readonly name: string;
  readonly gitUrl: string | null;
  readonly targetProjectId: string | null;
  readonly createdAt: Date;
};

export async function listProjects(db: Database<ProjectRows>): Promise<Project[]> {
  const rows = await db.selectFrom("projects").selectAll().orderBy("name").execute();
  return rows.map(fromRow);
}

/** @throws AppError `not_found` with the name that was probably meant. */
export async function getProject(db: Tx<ProjectRows>, name: string): Promise<Project> {
  const row = await db.selectFrom("projects").selectAll().where("name", "=", name).executeTakeFirst();
  if (row) return fromRow(row);
  const others = await db.selectFrom("projects").select("name").orderBy("name").limit(200).execute();
  const names = others.map((other) => other.name);
  const meant = closest(name, names) ?? names[0];
  throw new AppError("not_found", `There is no project "${name.slice(0, 80)}".`, {
    hint:
      meant === undefined
        ? "Make the first one with `signalbox deploy` in its folder."
        : `Did you mean "${meant}"? GET /api/projects lists all ${names.length}.`,
  });
}

/** Takes a name at the target for a project, unless another has it. Returns whose it is. */
export async function claimTargetProject(
  db: Tx<ProjectTables>,
  name: string,
  projectId: string,
): Promise<string> {
  const row = await db.selectFrom("target_projects").selectAll().where("name", "=", name).executeTakeFirst();
  if (row) return row.project_id;
  await db
    .insertInto("target_projects")
    .values({ name, project_id: projectId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return claimTargetProject(db, name, projectId);
}

/** Remembers the project's id at the target. */
export async function setTargetProject(
  db: Tx<ProjectTables>,
  projectId: string,
  targetProjectId: string,
): Promise<void> {
  await db
    .updateTable("projects")
    .set({ target_project_id: targetProjectId })
    .where("id", "=", projectId)
    .execute();
}

export function fromRow(row: ProjectTables["projects"]): Project {
  return {
    id: row.id,
    name: row.name,
    gitUrl: row.git_url,
    targetProjectId: row.target_project_id,
    createdAt: row.created_at,
  };
}
