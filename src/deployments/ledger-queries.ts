import type { EnvironmentName } from "../targets/target.ts";
import type { ProjectName, RollbackIntent } from "./ledger.ts";
import type { Source } from "./plan-source.ts";
import type { Deployment } from "./record.ts";
import { ACTIVE } from "./state.ts";
import { type SelectedRow, type Tx, toDeployment } from "./tables.ts";

/** Deployments that are looked through for a source. */
const SOURCES_LIMIT = 200;
/** More than a message can list. */
const NAMES_LIMIT = 11;

export function selectDeployments(db: Tx) {
  return db
    .selectFrom("deployments")
    .innerJoin("projects", "projects.id", "deployments.project_id")
    .selectAll("deployments")
    .select("projects.name as project");
}

export async function loadDeployment(db: Tx, id: string): Promise<Deployment | null> {
  const row = await selectDeployments(db).where("deployments.id", "=", id).executeTakeFirst();
  return row ? toDeployment(row as SelectedRow) : null;
}

export async function findProjects(db: Tx, name: string | undefined): Promise<ProjectName[]> {
  const query = db.selectFrom("projects").select(["id", "name"]);
  if (name !== undefined) return query.where("name", "=", name).execute();
  return query.orderBy("name").limit(NAMES_LIMIT).execute();
}

export async function findByKey(db: Tx, actorId: string | null, key: string): Promise<Deployment | null> {
  const row = await selectDeployments(db)
    .where((eb) => eb(eb.fn.coalesce("actor_id", eb.val("")), "=", actorId ?? ""))
    .where("idempotency_key", "=", key)
    .executeTakeFirst();
  return row ? toDeployment(row as SelectedRow) : null;
}

export async function findIntent(
  db: Tx,
  actorId: string | null,
  key: string,
): Promise<RollbackIntent | null> {
  const row = await db
    .selectFrom("deployment_rollbacks")
    .selectAll()
    .where((eb) => eb(eb.fn.coalesce("actor_id", eb.val("")), "=", actorId ?? ""))
    .where("idempotency_key", "=", key)
    .executeTakeFirst();
  if (!row) return null;
  return {
    id: row.id,
    projectId: row.project_id,
    fromId: row.from_id,
    toId: row.to_id ?? "",
    stopped: row.stopped,
    reason: row.reason,
    actorId: row.actor_id,
    actorName: row.actor_name,
    idempotencyKey: row.idempotency_key,
    createdAt: row.created_at,
  };
}

export async function readSources(
  db: Tx,
  projectId: string,
  branch: string | undefined,
): Promise<{ source: Source; commit: string | null }[]> {
  return db
    .selectFrom("deployments")
    .select(["source", "commit_sha as commit"])
    .where("project_id", "=", projectId)
    .$if(branch !== undefined, (query) => query.where("branch", "=", branch ?? null))
    .orderBy("seq", "desc")
    .limit(SOURCES_LIMIT)
    .execute();
}

export async function readSlots(
  db: Tx,
  projectId: string,
  environment: EnvironmentName,
): Promise<{ slot: string; branch: string | null; pullRequest: number | null }[]> {
  return db
    .selectFrom("deployments")
    .select(["slot", "branch", "pull_request as pullRequest"])
    .distinctOn("slot")
    .where("project_id", "=", projectId)
    .where("environment", "=", environment)
    .where("state", "in", ["queued", "live", ...ACTIVE])
    .orderBy("slot")
    .orderBy("seq", "desc")
    .limit(NAMES_LIMIT)
    .execute();
}
