import { type QueryExecutorProvider, sql } from "kysely";
import { CHECK_STATE_CHANNEL } from "./channels.ts";
import type { Transition, Turn } from "./judge.ts";
import type { Displayed } from "./model.ts";
import { array } from "./write-rounds.ts";

/** What came of judging one check: every change on the way, in order, and how it ended. */
export type Judged = {
  readonly id: string;
  readonly displayed: Displayed;
  readonly judgeAt: number | null;
  readonly turns: readonly Turn[];
  readonly transitions: readonly Transition[];
  readonly deploymentId: string | null;
  /** Whoever shows it, or waits for it, should look. */
  readonly isNews: boolean;
  /** Its last event turned out to be the trouble of this one, which was found down only after it. */
  readonly belongsTo: string | null;
};

/** All of it in the caller's transaction, which holds the rows of `check_states`. */
export async function writeJudgements(
  db: QueryExecutorProvider,
  judged: readonly Judged[],
  now: Date,
): Promise<void> {
  if (judged.length === 0) return;
  await writeStates(db, judged);
  const longest = Math.max(...judged.map(({ turns }) => turns.length));
  for (let n = 0; n < longest; n++) await writeSpans(db, judged, n);
  await writeEvents(db, judged, now);
  await adoptEvents(db, judged);
  const news = judged.filter(({ isNews }) => isNews).map(({ id }) => id);
  if (news.length === 0) return;
  await sql`select pg_notify(${CHECK_STATE_CHANNEL}, id) from unnest(${array("text", news)}) as t (id)`.execute(
    db,
  );
}

async function writeStates(db: QueryExecutorProvider, judged: readonly Judged[]): Promise<void> {
  const column = <T>(type: string, read: (one: Judged) => T) => array(type, judged.map(read));
  await sql`
    update check_states s set state = t.state, since = to_timestamp(t.since_ms / 1000),
      displayed = t.displayed::jsonb, judge_at = to_timestamp(t.judge_ms / 1000)
    from unnest(
      ${column("text", ({ id }) => id)},
      ${column("text", ({ displayed }) => displayed.state)},
      ${column("float8", ({ displayed }) => Math.round(displayed.since))},
      ${column("text", ({ displayed }) => JSON.stringify(displayed))},
      ${column("float8", ({ judgeAt }) => judgeAt && Math.ceil(judgeAt))}
    ) as t (id, state, since_ms, displayed, judge_ms)
    where s.check_id = t.id`.execute(db);
}

/** The n-th turn of each. One that begins where the open span begins takes its place: spans are never empty. */
async function writeSpans(db: QueryExecutorProvider, judged: readonly Judged[], n: number): Promise<void> {
  const rows = judged.flatMap(({ id, turns }) => (turns[n] ? [{ id, turn: turns[n] }] : []));
  const column = <T>(type: string, read: (row: (typeof rows)[number]) => T) => array(type, rows.map(read));
  const turned = sql`unnest(
      ${column("text", ({ id }) => id)},
      ${column("float8", ({ turn }) => Math.round(turn.from))},
      ${column("text", ({ turn }) => turn.state)},
      ${column("text", ({ turn }) => turn.failure?.class ?? null)}
    ) as t (id, from_ms, state, failure_class)`;
  const { rows: closed } = await sql<{ id: string; from_at: Date }>`
    update check_spans s set to_at = greatest(s.from_at, to_timestamp(t.from_ms / 1000)) from ${turned}
    where s.check_id = t.id and s.to_at is null
    returning s.check_id as id, s.to_at as from_at`.execute(db);
  const begins = new Map(closed.map(({ id, from_at }) => [id, from_at.getTime()]));
  const from = rows.map(({ id, turn }) => begins.get(id) ?? Math.round(turn.from));
  await sql`
    insert into check_spans (check_id, from_at, to_at, state, failure_class)
    select id, to_timestamp(begin_ms / 1000), null, state, failure_class
    from (select * from ${turned}) as turned join unnest(${column("text", ({ id }) => id)}, ${array("float8", from)})
      as b (begin_id, begin_ms) on begin_id = id
    on conflict (check_id, from_at) do update
      set to_at = null, state = excluded.state, failure_class = excluded.failure_class`.execute(db);
}

async function writeEvents(db: QueryExecutorProvider, judged: readonly Judged[], now: Date): Promise<void> {
  const rows = judged.flatMap((one) => one.transitions.map((transition) => ({ one, transition })));
  if (rows.length === 0) return;
  const column = <T>(type: string, read: (row: (typeof rows)[number]) => T) => array(type, rows.map(read));
  await sql`
    insert into check_events (check_id, at, written_at, from_state, to_state, failure_class, message, suppressed_by,
      deployment_id)
    select id, to_timestamp(at_ms / 1000), ${now}, from_state, to_state, failure_class, message, suppressed_by,
      deployment_id
    from unnest(
      ${column("text", ({ one }) => one.id)},
      ${column("float8", ({ transition }) => Math.round(transition.at))},
      ${column("text", ({ transition }) => transition.from)},
      ${column("text", ({ transition }) => transition.to)},
      ${column("text", ({ transition }) => transition.failure?.class ?? null)},
      ${column("text", ({ transition }) => transition.failure?.message ?? null)},
      ${column("text", ({ transition }) => transition.suppressedBy)},
      ${column("text", ({ one }) => one.deploymentId)}
    ) with ordinality as t (id, at_ms, from_state, to_state, failure_class, message, suppressed_by, deployment_id, n)
    order by n`.execute(db);
}

async function adoptEvents(db: QueryExecutorProvider, judged: readonly Judged[]): Promise<void> {
  const rows = judged.filter(({ belongsTo }) => belongsTo !== null);
  if (rows.length === 0) return;
  const column = <T>(type: string, read: (one: Judged) => T) => array(type, rows.map(read));
  await sql`
    update check_events e set suppressed_by = t.parent
    from unnest(${column("text", ({ id }) => id)}, ${column("text", ({ belongsTo }) => belongsTo)}) as t (id, parent)
    where e.id = (select max(id) from check_events where check_id = t.id) and e.suppressed_by is null`.execute(
    db,
  );
}
