import { type Selectable, sql } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { DeploymentState, DockDatabase, DockTables } from "../rows.ts";

export type Deployment = Selectable<DockTables["deployments"]>;
/** A deployment with what its view shows of other rows. */
export type DeploymentView = Deployment & {
  readonly kind: "static" | "server" | null;
  readonly project: string;
  readonly environment_slug: string | null;
};

function views(db: DockDatabase) {
  return db
    .selectFrom("deployments as d")
    .innerJoin("projects as p", "p.id", "d.project_id")
    .leftJoin("artifacts as a", "a.key", "d.artifact")
    .leftJoin("custom_environments as e", "e.id", "d.custom_environment_id")
    .selectAll("d")
    .select(["a.kind", "p.name as project", "e.slug as environment_slug"]);
}

/** By id, or by the host of its URL or of an alias (a scheme, a port and a path are let go). */
export async function findDeployment(
  dock: Pick<Dock, "db" | "traffic">,
  idOrUrl: string,
): Promise<DeploymentView | undefined> {
  const host = idOrUrl
    .replace(/^https?:\/\//, "")
    .replace(/[:/].*$/, "")
    .toLowerCase();
  const id = dock.traffic.state.aliases.get(host)?.deploymentId ?? idOrUrl;
  return views(dock.db)
    .where((eb) => eb.or([eb("d.id", "=", id), eb("d.url", "=", host)]))
    .executeTakeFirst();
}

/** @throws AppError `not_found`. */
export async function getDeployment(
  dock: Pick<Dock, "db" | "traffic">,
  idOrUrl: string,
): Promise<DeploymentView> {
  const found = await findDeployment(dock, idOrUrl);
  if (found) return found;
  throw new AppError("not_found", `There is no deployment "${idOrUrl.slice(0, 200)}".`, {
    hint: "List them with GET /v7/deployments.",
  });
}

export type DeploymentFilter = {
  readonly projectId?: string | undefined;
  readonly projectIds?: readonly string[] | undefined;
  /** Whether it ever served production, so that it may be rolled back to. */
  readonly wasProduction?: boolean | undefined;
  readonly name?: string | undefined;
  /** `production`, `preview`, or a custom environment's slug. */
  readonly target?: string | undefined;
  readonly states?: readonly DeploymentState[] | undefined;
  readonly meta?: Readonly<Record<string, string>> | undefined;
  readonly branch?: string | undefined;
  readonly sha?: string | undefined;
  readonly before?: Date | undefined;
  readonly after?: Date | undefined;
  readonly limit: number;
};

/** Newest first. */
export async function listDeployments(db: DockDatabase, filter: DeploymentFilter): Promise<DeploymentView[]> {
  let query = views(db).orderBy("d.created_at", "desc").orderBy("d.id", "desc").limit(filter.limit);
  if (filter.projectId) query = query.where("d.project_id", "=", filter.projectId);
  if (filter.projectIds) query = query.where("d.project_id", "in", filter.projectIds);
  if (filter.wasProduction !== undefined)
    query = query.where("d.promoted_at", filter.wasProduction ? "is not" : "is", null);
  if (filter.name) query = query.where("p.name", "=", filter.name);
  if (filter.states) query = query.where("d.state", "in", filter.states);
  if (filter.branch) query = query.where("d.branch", "=", filter.branch);
  if (filter.before) query = query.where("d.created_at", "<", filter.before);
  if (filter.after) query = query.where("d.created_at", ">", filter.after);
  if (filter.sha) query = query.where(sql<boolean>`d.git ->> 'commitSha' = ${filter.sha}`);
  if (filter.meta && Object.keys(filter.meta).length > 0) {
    query = query.where(sql<boolean>`d.meta @> ${JSON.stringify(filter.meta)}::jsonb`);
  }
  if (filter.target === "production") query = query.where("d.target", "=", "production");
  else if (filter.target === "preview") {
    query = query.where("d.target", "is", null).where("d.custom_environment_id", "is", null);
  } else if (filter.target) {
    const slugOrId = filter.target;
    query = query.where((eb) => eb.or([eb("e.slug", "=", slugOrId), eb("e.id", "=", slugOrId)]));
  }
  return query.execute();
}
