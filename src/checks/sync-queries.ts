import { sql } from "kysely";
import type { Commit, ServiceRelease, Source } from "../deployments/index.ts";
import type { Tx } from "../foundation/db.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { CheckTables } from "./tables.ts";

type Db = Tx<CheckTables>;

/** A live deployment, as far as its checks are made of it. */
export type LiveDeployment = {
  readonly id: string;
  readonly projectId: string;
  readonly project: string;
  readonly environment: EnvironmentName;
  readonly slot: string;
  readonly source: Source;
  readonly branch: string | null;
  readonly pullRequest: number | null;
  readonly commit: Commit;
  readonly services: readonly ServiceRelease[];
};

/** A configuration that could not be read is asked for again after so long. */
const AGAIN_MS = 60_000;

/** Live deployments that the checks of their place do not follow yet. */
export async function unfollowed(db: Db, rules: string, now: Date): Promise<LiveDeployment[]> {
  const rows = await db
    .selectFrom("deployments as d")
    .innerJoin("projects as p", "p.id", "d.project_id")
    .leftJoin("check_syncs as s", (join) =>
      join.onRef("s.project_id", "=", "d.project_id").onRef("s.slot", "=", "d.slot"),
    )
    .selectAll("d")
    .select("p.name as project")
    .where("d.state", "=", "live")
    .where((eb) =>
      eb.or([
        eb("s.deployment_id", "is", null),
        eb("s.deployment_id", "<>", eb.ref("d.id")),
        eb("s.rules", "<>", rules),
        eb("s.failed_at", "<", new Date(now.getTime() - AGAIN_MS)),
      ]),
    )
    .orderBy("d.seq")
    .execute();
  return rows.map((row) => ({
    id: row.id,
    projectId: row.project_id,
    project: row.project,
    environment: row.environment,
    slot: row.slot,
    source: row.source,
    branch: row.branch,
    pullRequest: row.pull_request,
    commit: { sha: row.commit_sha, message: row.commit_message, dirty: row.dirty },
    services: row.services,
  }));
}

/** Places whose checks follow a deployment, and where nothing serves or is about to. */
export async function deserted(db: Db): Promise<{ readonly projectId: string; readonly slot: string }[]> {
  const { rows } = await sql<{ projectId: string; slot: string }>`
    select s.project_id as "projectId", s.slot from check_syncs s
    where not exists (
      select from deployments d where d.project_id = s.project_id and d.slot = s.slot
        and d.state in ('live', 'releasing', 'shifting', 'rolling_back'))`.execute(db);
  return rows;
}

/** The checks that follow a place, and those made by hand in its environment, whose names are taken. */
export async function checksAround(
  db: Db,
  { projectId, slot, environment }: { projectId: string; slot: string; environment: string | null },
) {
  return db
    .selectFrom("checks as c")
    .leftJoin("deployments as d", "d.id", "c.deployment_id")
    .selectAll("c")
    .where("c.project_id", "=", projectId)
    .where("c.retired_at", "is", null)
    .where((eb) =>
      eb.or([
        eb.and([eb("c.source", "<>", "api"), eb("d.slot", "=", slot)]),
        eb.and([eb("c.source", "=", "api"), eb("c.environment", "=", environment)]),
      ]),
    )
    .execute();
}

/** One writer of the checks of a project at a time. */
export async function holdChecks(tx: Db, projectId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`checks ${projectId}`}, 0))`.execute(tx);
}
