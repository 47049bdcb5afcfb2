import { type QueryExecutorProvider, sql } from "kysely";
import type { Displayed, LocationState, Policy, State } from "./model.ts";
import type { Parent } from "./suppress.ts";
import { array } from "./write-rounds.ts";

/** Who may write the rounds of a location: the prober that holds the shards' tokens. */
export type Fence = {
  readonly location: string;
  readonly owner: string;
  readonly tokens: ReadonlyMap<number, number>;
};

/**
 * The checks that may be written, with what is shown of them (null: nothing yet). The shards stay ours until the end
 * of the transaction: a taker-over waits.
 */
export async function admit(
  db: QueryExecutorProvider,
  ids: readonly string[],
  fence: Fence | null,
): Promise<ReadonlyMap<string, State | null>> {
  const held = fence
    ? sql`select s.shard from check_shards s
        join unnest(${array("int", [...fence.tokens.keys()])}, ${array("bigint", [...fence.tokens.values()])})
          as t (shard, token) on t.shard = s.shard and t.token = s.token
        where s.location = ${fence.location} and s.owner = ${fence.owner} for share of s`
    : sql`select generate_series(0, 63) as shard`;
  const { rows } = await sql<{ id: string; state: State | null }>`
    with held as materialized (${held})
    select c.id, s.state from unnest(${array("text", ids)}) as i (id)
      join checks c on c.id = i.id join held on held.shard = c.shard
      left join check_states s on s.check_id = c.id
    where c.retired_at is null`.execute(db);
  return new Map(rows.map(({ id, state }) => [id, state]));
}

/** Rows for those that have none yet, locked or not; each a beginning, not a transition. */
export async function beginStates(
  db: QueryExecutorProvider,
  sorted: readonly { readonly id: string; readonly displayed: Displayed }[],
): Promise<void> {
  if (sorted.length === 0) return;
  await sql`
    with begun as (
      insert into check_states (check_id, state, since, displayed)
      select check_id, 'unknown', to_timestamp(since_ms / 1000), displayed::jsonb
      from unnest(${array(
        "text",
        sorted.map(({ id }) => id),
      )}, ${array(
        "float8",
        sorted.map(({ displayed }) => displayed.since),
      )},
        ${array(
          "text",
          sorted.map(({ displayed }) => JSON.stringify(displayed)),
        )}) as t (check_id, since_ms, displayed)
      on conflict do nothing returning check_id, since)
    insert into check_spans (check_id, from_at, to_at, state, failure_class)
    select check_id, since, null, 'unknown', null from begun`.execute(db);
}

/** The row is the lock of everything that is decided about a check. Taken in the order of the ids. */
export async function lockStates(db: QueryExecutorProvider, ids: readonly string[]): Promise<void> {
  await sql`select check_id from check_states where check_id = any(${array("text", ids)})
    order by check_id for update`.execute(db);
}

/** Those that are to be judged by now, locked; those that another is judging are left to it. */
export async function lockDue(
  db: QueryExecutorProvider,
  shards: readonly number[] | null,
  now: Date,
  limit: number,
): Promise<string[]> {
  const ours = shards === null ? sql`true` : sql`c.shard = any(${array("int", shards)})`;
  const { rows } = await sql<{ id: string }>`
    select s.check_id as id from check_states s join checks c on c.id = s.check_id
    where s.judge_at <= ${now} and c.retired_at is null and ${ours}
    order by s.judge_at limit ${limit} for update of s skip locked`.execute(db);
  return rows.map(({ id }) => id).sort();
}

/** What is known of a check when it is judged. Times in ms. */
export type JudgedRow = {
  readonly id: string;
  readonly policy: Policy;
  readonly displayed: Displayed;
  readonly judge_at: Date | null;
  readonly voices: readonly {
    readonly location: string;
    readonly fold: LocationState;
    readonly lastAt: number;
  }[];
  readonly parents: readonly Parent[];
  readonly maintenance: { readonly id: string; readonly until: number } | null;
  readonly next_maintenance: Date | null;
  /** What is live, or is taking traffic, and since when. */
  readonly deployment_id: string | null;
  readonly deployment_since: Date | null;
};

/** Read after `lockStates`, in a statement of its own: so it sees what the last holder of the lock wrote. */
export async function readJudged(
  db: QueryExecutorProvider,
  ids: readonly string[],
  now: Date,
): Promise<JudgedRow[]> {
  const { rows } = await sql<JudgedRow>`
    select c.id, c.policy, s.displayed, s.judge_at,
      (select coalesce(json_agg(json_build_object('location', l.location, 'fold', l.fold,
          'lastAt', round(extract(epoch from l.last_at) * 1000))
          order by array_position(array(select jsonb_array_elements_text(c.policy -> 'locations')), l.location)),
          '[]')
        from check_locations l where l.check_id = c.id) as voices,
      case when c.policy -> 'dependsOn' = '[]' then '[]'::json else (${parents}) end as parents,
      (select json_build_object('id', w.id,
          'until', round(extract(epoch from coalesce(w.ended_at, w.to_at)) * 1000))
        from maintenance_windows w
        where ${windowOf} and w.from_at <= ${now} and coalesce(w.ended_at, w.to_at) > ${now}
        order by w.to_at desc limit 1) as maintenance,
      (select min(w.from_at) from maintenance_windows w
        where ${windowOf} and w.from_at > ${now} and w.ended_at is null) as next_maintenance,
      d.id as deployment_id, d.state_since as deployment_since
    from checks c join check_states s on s.check_id = c.id
      left join lateral (
        select d.id, d.state_since from deployments d
        where d.project_id = c.project_id and d.environment = c.environment
          and d.state in ('shifting', 'rolling_back', 'live')
          and (c.environment <> 'preview' or d.id = c.deployment_id)
        order by d.state = 'live', d.seq desc limit 1) d on true
    where c.id = any(${array("text", ids)})
    order by c.id`.execute(db);
  return rows;
}

const windowOf = sql`w.project_id = c.project_id and w.environment = c.environment
  and (w.checks is null or w.checks ? c.name)`;

/** `union` and not `union all`: a circle ends where it meets itself. Those in one with the check are no parents. */
const parents = sql`
  select coalesce(json_agg(json_build_object('id', p.id, 'state', ps.state,
      'since', round(extract(epoch from ps.since) * 1000)) order by p.id), '[]')
  from checks p join check_states ps on ps.check_id = p.id
  where p.project_id = c.project_id and p.environment = c.environment and p.retired_at is null
    and c.policy -> 'dependsOn' ? p.name
    and not exists (
      with recursive above (name) as (
        select jsonb_array_elements_text(p.policy -> 'dependsOn')
        union
        select jsonb_array_elements_text(q.policy -> 'dependsOn') from above join checks q on q.name = above.name
          and q.project_id = c.project_id and q.environment = c.environment and q.retired_at is null)
      select from above where above.name = c.name)`;

/**
 * The checks that depend on one of these, in the order of their ids. From the few that depend on anything: when a
 * thousand go down at once, each of them must not be compared with all others.
 */
export async function findChildren(db: QueryExecutorProvider, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    with named as materialized (
      select c.id, c.project_id, c.environment, jsonb_array_elements_text(c.policy -> 'dependsOn') as parent
      from checks c where c.retired_at is null and c.policy -> 'dependsOn' <> '[]')
    select distinct c.id from named c
      join checks p on p.project_id = c.project_id and p.environment = c.environment and p.name = c.parent
      join check_states s on s.check_id = c.id
    where p.id = any(${array("text", ids)}) and c.id <> p.id
    order by c.id`.execute(db);
  return rows.map(({ id }) => id);
}

/**
 * Something around these checks has changed (a window of maintenance): the next sweep judges them. What is
 * overdue stays so: rollups wait for it from then on.
 */
export async function judgeSoon(
  db: QueryExecutorProvider,
  place: {
    readonly projectId: string;
    readonly environment: string;
    readonly names: readonly string[] | null;
  },
  now: Date,
): Promise<void> {
  const named = place.names === null ? sql`true` : sql`c.name = any(${array("text", place.names)})`;
  await sql`update check_states set judge_at = least(judge_at, ${now}) where check_id in (
    select s.check_id from check_states s join checks c on c.id = s.check_id
    where c.project_id = ${place.projectId} and c.environment = ${place.environment}
      and c.retired_at is null and ${named}
    order by s.check_id for update of s)`.execute(db);
}

/** What is no check any more is judged no more, and its last span ends with it. */
export async function endRetired(db: QueryExecutorProvider, now: Date): Promise<void> {
  await sql`
    with ended as (
      update check_states s set judge_at = null from checks c
      where c.id = s.check_id and c.retired_at is not null and s.judge_at <= ${now}
      returning s.check_id, c.retired_at)
    update check_spans p set to_at = greatest(p.from_at, ended.retired_at) from ended
    where p.check_id = ended.check_id and p.to_at is null`.execute(db);
}
