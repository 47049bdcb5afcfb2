import { type Selectable, sql } from "kysely";
import type { Tx } from "../foundation/db.ts";
import type { CloseKind, PreviewMemory } from "./plan-sweep.ts";
import { DEFAULT_POLICY, type PreviewPolicy } from "./policy.ts";
import type { ExistingPreview } from "./ports.ts";
import type { PreviewTables, StepTaken } from "./tables.ts";

type Db = Tx<PreviewTables>;

/** The project's policy; the default, with no previews, when none was set. */
export async function readPolicy(db: Db, projectId: string): Promise<PreviewPolicy> {
  const row = await db
    .selectFrom("preview_policies")
    .selectAll()
    .where("project_id", "=", projectId)
    .executeTakeFirst();
  return row ? fromRow(row) : DEFAULT_POLICY;
}

/** Whole: what the policy leaves out is back at its default. */
export async function writePolicy(
  db: Db,
  projectId: string,
  policy: PreviewPolicy,
  now: Date,
): Promise<void> {
  const row = {
    source: policy.source,
    repository: policy.repository,
    git_url: policy.gitUrl,
    include: JSON.stringify(policy.include),
    exclude: JSON.stringify(policy.exclude),
    ttl_ms: policy.ttlMs,
    max_previews: policy.limit,
    forks: policy.forks,
    comment_url: policy.commentUrl,
    production_branch: policy.productionBranch,
    deploy_on_push: JSON.stringify(policy.deployOnPush),
    updated_at: now,
  };
  await db
    .insertInto("preview_policies")
    .values({ project_id: projectId, ...row })
    .onConflict((conflict) => conflict.column("project_id").doUpdateSet(row))
    .execute();
}

function fromRow(row: Selectable<PreviewTables["preview_policies"]>): PreviewPolicy {
  return {
    source: row.source,
    repository: row.repository,
    gitUrl: row.git_url,
    include: row.include,
    exclude: row.exclude,
    ttlMs: row.ttl_ms,
    limit: row.max_previews,
    forks: row.forks,
    commentUrl: row.comment_url,
    productionBranch: row.production_branch,
    deployOnPush: row.deploy_on_push,
  };
}

/** Projects that the sweep looks after: with a policy, also one that has since become `none`. */
export async function projectsWithPolicy(db: Db): Promise<{ id: string; name: string }[]> {
  return db
    .selectFrom("preview_policies")
    .innerJoin("projects", "projects.id", "preview_policies.project_id")
    .select(["projects.id", "projects.name"])
    .orderBy("projects.name")
    .execute();
}

export type Remembered = PreviewMemory & {
  /** What the host was told last. */
  readonly reported: string | null;
  /** The newest deployment of its former life. */
  readonly lastDeploymentId: string | null;
};

export async function readMemory(db: Db, projectId: string): Promise<Remembered[]> {
  const rows = await db.selectFrom("previews").selectAll().where("project_id", "=", projectId).execute();
  return rows.map((row) => ({
    key: row.key,
    source: row.source,
    reported: row.reported,
    lastDeploymentId: row.closed_deployment_id,
    closed:
      row.close_kind === null
        ? null
        : {
            kind: row.close_kind,
            reason: row.close_reason ?? "",
            commit: row.closed_commit,
            newestDeploymentId: row.closed_deployment_id,
          },
  }));
}

export type Owned = {
  readonly projectId: string;
  readonly key: string;
  readonly source: string;
  readonly pullRequest: number | null;
  readonly branch: string;
};

/** Writes down that the sweep answers for a preview, which is open. What its former life ended with stays. */
export async function rememberOpen(db: Db, { projectId, pullRequest, ...rest }: Owned): Promise<void> {
  const open = {
    ...rest,
    pull_request: pullRequest,
    closed_at: null,
    close_kind: null,
    close_reason: null,
  };
  await db
    .insertInto("previews")
    .values({ project_id: projectId, ...open, reported: null })
    .onConflict((conflict) => conflict.columns(["project_id", "key"]).doUpdateSet(open))
    .execute();
}

export type Closing = Owned & {
  readonly kind: CloseKind;
  readonly reason: string;
  readonly newestDeploymentId: string;
  readonly commit: string | null;
};

/** Writes down that a preview is to go. False: that was known. */
export async function rememberClosed(db: Db, closing: Closing, now: Date): Promise<boolean> {
  const closed = {
    closed_at: now,
    close_kind: closing.kind,
    close_reason: closing.reason,
    closed_deployment_id: closing.newestDeploymentId,
    closed_commit: closing.commit,
    reported: null,
  };
  const { projectId, key, source, pullRequest, branch } = closing;
  const written = await db
    .insertInto("previews")
    .values({ project_id: projectId, key, source, pull_request: pullRequest, branch, ...closed })
    .onConflict((conflict) =>
      conflict
        .columns(["project_id", "key"])
        .doUpdateSet(closed)
        .where((eb) =>
          eb.or([
            eb("previews.close_kind", "is", null),
            eb("previews.closed_deployment_id", "is distinct from", closing.newestDeploymentId),
          ]),
        ),
    )
    .returning("key")
    .executeTakeFirst();
  return written !== undefined;
}

/** Forgets why previews were closed that are open no longer, or of one that was opened anew: it may be made again. */
export async function forgetClosed(db: Db, projectId: string, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  await db
    .updateTable("previews")
    .set({ close_kind: "gone" })
    .where("project_id", "=", projectId)
    .where("key", "in", [...keys])
    .where("close_kind", "is not", null)
    .execute();
}

export async function rememberReport(
  db: Db,
  projectId: string,
  key: string,
  reported: string,
): Promise<void> {
  await db
    .updateTable("previews")
    .set({ reported })
    .where("project_id", "=", projectId)
    .where("key", "=", key)
    .execute();
}

export type SweepHealth = {
  readonly sweptAt: Date | null;
  readonly failingSince: Date | null;
  readonly failure: string | null;
  readonly steps: readonly StepTaken[];
};

export async function readSweep(db: Db, projectId: string): Promise<SweepHealth> {
  const row = await db
    .selectFrom("preview_sweeps")
    .selectAll()
    .where("project_id", "=", projectId)
    .executeTakeFirst();
  if (!row) return { sweptAt: null, failingSince: null, failure: null, steps: [] };
  return { sweptAt: row.swept_at, failingSince: row.failing_since, failure: row.failure, steps: row.steps };
}

export async function recordSweep(
  db: Db,
  projectId: string,
  steps: readonly StepTaken[],
  now: Date,
): Promise<void> {
  const row = { swept_at: now, failing_since: null, failure: null, steps: JSON.stringify(steps) };
  await db
    .insertInto("preview_sweeps")
    .values({ project_id: projectId, ...row })
    .onConflict((conflict) => conflict.column("project_id").doUpdateSet(row))
    .execute();
}

/** Keeps the steps of the last sweep that could look, and the time of the first that could not. */
export async function recordFailure(db: Db, projectId: string, failure: string, now: Date): Promise<void> {
  await db
    .insertInto("preview_sweeps")
    .values({ project_id: projectId, swept_at: null, failing_since: now, failure, steps: "[]" })
    .onConflict((conflict) =>
      conflict.column("project_id").doUpdateSet((eb) => ({
        failure,
        failing_since: eb.fn.coalesce("preview_sweeps.failing_since", eb.val(now)),
      })),
    )
    .execute();
}

type ExistingRow = {
  key: string;
  branch: string;
  commit: string | null;
  id: string;
  state: ExistingPreview["state"];
  live_at: Date | null;
  created_at: Date;
  last_activity_at: Date;
  url: string | null;
};

/**
 * The previews of a project as its deployments show them. A place exists while a release of it is under way, live or
 * kept for a rollback, or while its newest deployment is one that no closing knew (a failed one counts, so that the
 * sweep does not deploy the same commit again and again).
 */
export async function existingPreviews(db: Db, projectId: string): Promise<ExistingPreview[]> {
  const { rows } = await sql<ExistingRow>`
    with place as (
      select d.*, ${keyOfSlot} as key from deployments d
      where d.project_id = ${projectId} and d.environment = 'preview'
    ), newest as (
      select distinct on (key) * from place order by key, seq desc
    )
    select newest.key, coalesce(newest.branch, '') as branch, newest.commit_sha as commit, newest.id,
      newest.state, coalesce(life.live_url, newest.services #>> '{-1,urls,0}', newest.services #>> '{-1,url}') as url,
      life.live_at, life.created_at, life.last_activity_at
    from newest
    left join previews p on p.project_id = newest.project_id and p.key = newest.key
    left join deployments closed on closed.id = p.closed_deployment_id
    cross join lateral (
      select (array_agg(services #>> '{-1,urls,0}' order by seq desc) filter (where state = 'live'))[1] as live_url,
        max(live_at) as live_at, min(created_at) as created_at,
        max(greatest(created_at, coalesce(live_at, created_at))) as last_activity_at,
        bool_or(cleanup is null and retired_at is null and state not in ('failed', 'canceled', 'rejected')
          and (live_at is not null or state not in ('superseded', 'rolled_back'))) as holds
      from place where place.key = newest.key
        and (closed.seq is null or place.seq > closed.seq or newest.id = closed.id)
    ) life
    where life.holds or p.closed_deployment_id is distinct from newest.id
    order by newest.key`.execute(db);
  return rows.map((row) => ({
    key: row.key,
    pullRequest: pullRequestOf(row.key),
    branch: row.branch,
    commit: row.commit,
    newestDeploymentId: row.id,
    state: row.state,
    liveAt: row.live_at,
    createdAt: row.created_at,
    lastActivityAt: row.last_activity_at,
    url: row.url,
  }));
}

/** `preview:pr-42` is a pull request's place, `preview:<branch>` a branch's, `preview:branch:pr-42` one's so called. */
const keyOfSlot = sql`case when d.slot ~ '^preview:pr-[0-9]+$' then substr(d.slot, 9)
  else 'branch-' || regexp_replace(substr(d.slot, 9), '^branch:(?=pr-[0-9]+$)', '') end`;

/** Whose preview goes by the key. */
export function readKey(key: string): {
  readonly branch: string | null;
  readonly pullRequest: number | null;
} {
  const pullRequest = pullRequestOf(key);
  return { branch: pullRequest === null ? key.replace(/^branch-/, "") : null, pullRequest };
}

export function pullRequestOf(key: string): number | null {
  const number = /^pr-(\d+)$/.exec(key)?.[1];
  return number === undefined ? null : Number(number);
}
