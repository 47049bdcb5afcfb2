import type { Selectable } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import type { DockDatabase, DockTables } from "../rows.ts";

export type Project = Selectable<DockTables["projects"]>;
export type CustomEnvironment = Selectable<DockTables["custom_environments"]>;
export type Variable = Selectable<DockTables["variables"]>;

export async function findProject(db: DockDatabase, idOrName: string): Promise<Project | undefined> {
  return db
    .selectFrom("projects")
    .selectAll()
    .where((eb) => eb.or([eb("id", "=", idOrName), eb("name", "=", idOrName)]))
    .executeTakeFirst();
}

/** @throws AppError `not_found`. */
export async function getProject(db: DockDatabase, idOrName: string): Promise<Project> {
  const project = await findProject(db, idOrName);
  if (project) return project;
  throw new AppError("not_found", `There is no project "${idOrName}".`, {
    hint: "Create it with POST /v11/projects, or name another.",
  });
}

export async function listProjects(
  db: DockDatabase,
  filter: { search: string | undefined; limit: number; before: Date | undefined },
): Promise<Project[]> {
  let query = db.selectFrom("projects").selectAll().orderBy("created_at", "desc").limit(filter.limit);
  if (filter.search) query = query.where("name", "like", `%${filter.search.replace(/[%_\\]/g, "\\$&")}%`);
  if (filter.before) query = query.where("created_at", "<", filter.before);
  return query.execute();
}

export async function findEnvironment(
  db: DockDatabase,
  projectId: string,
  slugOrId: string,
): Promise<CustomEnvironment | undefined> {
  return db
    .selectFrom("custom_environments")
    .selectAll()
    .where("project_id", "=", projectId)
    .where((eb) => eb.or([eb("id", "=", slugOrId), eb("slug", "=", slugOrId)]))
    .executeTakeFirst();
}

/** @throws AppError `not_found`. */
export async function getEnvironment(
  db: DockDatabase,
  project: Project,
  slugOrId: string,
): Promise<CustomEnvironment> {
  const environment = await findEnvironment(db, project.id, slugOrId);
  if (environment) return environment;
  throw new AppError("not_found", `The project "${project.name}" has no custom environment "${slugOrId}".`, {
    hint: "Create it with POST /v9/projects/:project/custom-environments.",
  });
}

export async function listEnvironments(db: DockDatabase, projectId: string): Promise<CustomEnvironment[]> {
  return db
    .selectFrom("custom_environments")
    .selectAll()
    .where("project_id", "=", projectId)
    .orderBy("created_at")
    .execute();
}

export async function listVariables(db: DockDatabase, projectId: string): Promise<Variable[]> {
  return db
    .selectFrom("variables")
    .selectAll()
    .where("project_id", "=", projectId)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}
