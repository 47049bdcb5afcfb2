import { sql } from "kysely";
import type { Deployment } from "../deployments/index.ts";
import type { Database, Tx } from "../foundation/db.ts";
import { NOT_LOOKED_AT } from "./health.ts";
import type { Lease } from "./lease.ts";
import type { FailoverPlace, PlaceKey } from "./place.ts";
import type { Side } from "./policy.ts";
import type { Standby } from "./standby.ts";
import type { FailoverEventKind, FailoverTables } from "./tables.ts";

/**
 * Gives every live production deployment whose plan asks for a failover its row, and takes the wish from those that no
 * longer do. Between two live deployments (a rollback) nothing changes.
 */
export async function followLive(db: Database<FailoverTables>, now: Date): Promise<void> {
  await sql`
    insert into failovers (project_id, environment, policy, asked, live_id, serving_since, health, wake_at)
    select project_id, environment, plan -> 'failover', true, id, ${now}, ${JSON.stringify(NOT_LOOKED_AT)}, ${now}
    from deployments
    where state = 'live' and environment = 'production' and jsonb_typeof(plan -> 'failover') = 'object'
    on conflict (project_id, environment) do update
      set policy = excluded.policy, asked = true, live_id = excluded.live_id, wake_at = ${now}
      where failovers.live_id <> excluded.live_id or not failovers.asked
        or failovers.policy <> excluded.policy`.execute(db);
  await sql`
    update failovers f set asked = false, live_id = d.id from deployments d
    where d.project_id = f.project_id and d.environment = f.environment and d.state = 'live' and f.asked
      and coalesce(jsonb_typeof(d.plan -> 'failover'), 'null') <> 'object'`.execute(db);
  await sql`
    insert into failover_standbys (project_id, environment, deployment_id, wake_at)
    select project_id, environment, live_id, ${now} from failovers where asked
    on conflict (project_id, environment) do update set wake_at = ${now}
      where failover_standbys.deployment_id <> excluded.deployment_id
        and failover_standbys.wake_at > ${now}`.execute(db);
}

/** Null: there is none. */
export async function readPlace(db: Tx<FailoverTables>, key: PlaceKey): Promise<FailoverPlace | null> {
  const row = await db
    .selectFrom("failovers")
    .innerJoin("projects", "projects.id", "failovers.project_id")
    .selectAll("failovers")
    .select("projects.name as project")
    .where("project_id", "=", key.projectId)
    .where("environment", "=", key.environment)
    .executeTakeFirst();
  if (!row) return null;
  return {
    ...key,
    project: row.project,
    policy: row.policy,
    asked: row.asked,
    liveId: row.live_id,
    serving: row.serving,
    servingSince: row.serving_since,
    switchedBy: row.switched_by,
    automatic: row.automatic,
    switch: row.switch,
    health: row.health,
    readAt: row.read_at,
    elsewhere: row.elsewhere,
    leaseToken: row.lease_token,
  };
}

/** Null: nothing was begun yet. */
export async function readStandby(db: Tx<FailoverTables>, key: PlaceKey): Promise<Standby | null> {
  const row = await db
    .selectFrom("failover_standbys")
    .selectAll()
    .where("project_id", "=", key.projectId)
    .where("environment", "=", key.environment)
    .executeTakeFirst();
  if (!row) return null;
  return {
    ...key,
    deploymentId: row.deployment_id,
    generation: row.generation,
    releases: row.releases,
    attempts: row.attempts,
    error: row.error,
    mirroredId: row.mirrored_id,
    mirrored: row.mirrored,
    mirroredAt: row.mirrored_at,
    answeringSince: row.answering_since,
    failures: row.failures,
    checkedAt: row.checked_at,
    missingVariables: row.missing_variables,
    warning: row.warning,
  };
}

/** Writes a standby. False: the lease was taken over, and nothing was written. */
export async function writeStandby(tx: Tx<FailoverTables>, lease: Lease, standby: Standby): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable("failover_standbys")
    .set({
      deployment_id: standby.deploymentId,
      generation: standby.generation,
      releases: JSON.stringify(standby.releases),
      attempts: standby.attempts,
      error: standby.error,
      mirrored_id: standby.mirroredId,
      mirrored: JSON.stringify(standby.mirrored),
      mirrored_at: standby.mirroredAt,
      answering_since: standby.answeringSince,
      failures: standby.failures,
      checked_at: standby.checkedAt,
      missing_variables: JSON.stringify(standby.missingVariables),
      warning: standby.warning,
    })
    .where("project_id", "=", lease.projectId)
    .where("environment", "=", lease.environment)
    .where("lease_token", "=", lease.token)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export type PlaceChange = Partial<
  Pick<
    FailoverPlace,
    "serving" | "servingSince" | "switchedBy" | "switch" | "health" | "readAt" | "elsewhere"
  >
>;

/**
 * Writes what changed. False: the lease was taken over, or somebody replaced the switch that was read (`seen`); nothing
 * was written then.
 */
export async function writePlace(
  tx: Tx<FailoverTables>,
  lease: Lease,
  seen: Pick<FailoverPlace, "switch">,
  change: PlaceChange,
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable("failovers")
    .set({
      ...(change.serving === undefined ? {} : { serving: change.serving }),
      ...(change.servingSince === undefined ? {} : { serving_since: change.servingSince }),
      ...(change.switchedBy === undefined ? {} : { switched_by: change.switchedBy }),
      ...(change.switch === undefined
        ? {}
        : { switch: change.switch === null ? null : JSON.stringify(change.switch) }),
      ...(change.health === undefined ? {} : { health: JSON.stringify(change.health) }),
      ...(change.readAt === undefined ? {} : { read_at: change.readAt }),
      ...(change.elsewhere === undefined ? {} : { elsewhere: change.elsewhere }),
      // Never an empty SET.
      lease_token: lease.token,
    })
    .where("project_id", "=", lease.projectId)
    .where("environment", "=", lease.environment)
    .where("lease_token", "=", lease.token)
    .where(sql<boolean>`(switch ->> 'id') is not distinct from ${seen.switch?.id ?? null}`)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export type FailoverEvent = PlaceKey & {
  readonly at: Date;
  readonly kind: FailoverEventKind;
  readonly switchId: string | null;
  readonly side: Side | null;
  readonly reason: string | null;
  readonly actor: string;
  readonly leaseToken: number;
};

export async function writeEvent(tx: Tx<FailoverTables>, event: FailoverEvent): Promise<void> {
  await tx
    .insertInto("failover_events")
    .values({
      project_id: event.projectId,
      environment: event.environment,
      at: event.at,
      kind: event.kind,
      switch_id: event.switchId,
      side: event.side,
      reason: event.reason,
      actor_name: event.actor,
      lease_token: event.leaseToken,
    })
    .execute();
}

/** The newest first. */
export async function readEvents(
  db: Tx<FailoverTables>,
  key: PlaceKey,
  limit: number,
): Promise<Omit<FailoverEvent, "projectId" | "environment">[]> {
  const rows = await db
    .selectFrom("failover_events")
    .selectAll()
    .where("project_id", "=", key.projectId)
    .where("environment", "=", key.environment)
    .orderBy("id", "desc")
    .limit(limit)
    .execute();
  return rows.map((row) => ({
    at: row.at,
    kind: row.kind,
    switchId: row.switch_id,
    side: row.side,
    reason: row.reason,
    actor: row.actor_name,
    leaseToken: row.lease_token,
  }));
}

/** When the switches since then were begun. */
export async function switchesSince(db: Tx<FailoverTables>, key: PlaceKey, since: Date): Promise<Date[]> {
  const rows = await db
    .selectFrom("failover_events")
    .select("at")
    .where("project_id", "=", key.projectId)
    .where("environment", "=", key.environment)
    .where("kind", "=", "switching")
    .where("at", ">", since)
    .execute();
  return rows.map(({ at }) => at);
}

/** Has the place looked at now, once the transaction is committed. */
export async function wakePlace(tx: Tx<FailoverTables>, key: PlaceKey, now: Date): Promise<void> {
  for (const table of ["failovers", "failover_standbys"] as const) {
    await tx
      .updateTable(table)
      .set({ wake_at: now })
      .where("project_id", "=", key.projectId)
      .where("environment", "=", key.environment)
      .execute();
  }
}

/** Another project whose live configuration names the same hostname, and did so first. */
export async function ownerOfHostname(
  db: Tx<FailoverTables>,
  key: PlaceKey,
  hostname: string,
): Promise<string | null> {
  const row = await db
    .selectFrom("failovers as other")
    .innerJoin("projects", "projects.id", "other.project_id")
    .innerJoin("projects as own", (join) => join.on("own.id", "=", key.projectId))
    .select("projects.name")
    .where("other.asked", "=", true)
    .where("other.project_id", "<>", key.projectId)
    .where(sql<boolean>`other.policy ->> 'hostname' = ${hostname}`)
    .where((eb) =>
      eb.or([
        eb("projects.created_at", "<", eb.ref("own.created_at")),
        eb.and([
          eb("projects.created_at", "=", eb.ref("own.created_at")),
          eb("projects.id", "<", key.projectId),
        ]),
      ]),
    )
    .executeTakeFirst();
  return row?.name ?? null;
}

/** What failover needs of a deployment. */
export type LiveDeployment = Pick<
  Deployment,
  "id" | "projectId" | "environment" | "source" | "branch" | "pullRequest" | "commit" | "services"
> & { readonly project: string };

export async function readLive(db: Tx<FailoverTables>, id: string): Promise<LiveDeployment> {
  const row = await db
    .selectFrom("deployments")
    .innerJoin("projects", "projects.id", "deployments.project_id")
    .selectAll("deployments")
    .select("projects.name as project")
    .where("deployments.id", "=", id)
    .executeTakeFirstOrThrow();
  return {
    id: row.id,
    projectId: row.project_id,
    project: row.project,
    environment: row.environment,
    source: row.source,
    branch: row.branch,
    pullRequest: row.pull_request,
    commit: { sha: row.commit_sha, message: row.commit_message, dirty: row.dirty },
    services: row.services,
  };
}
