import { sql } from "kysely";
import { fold } from "../fold.ts";
import { type Attempt, LOCAL, type LocationState, type Policy, type Round } from "../model.ts";
import { recordRounds } from "../record-rounds.ts";
import type { HeartbeatDeps } from "./deps.ts";
import { findByCheck, type Heartbeat, readFold, tellAgainAt } from "./queries.ts";

/** Of each pool, the telling under way: each needs two connections, and many at once would wait for each other. */
const underWay = new WeakMap<object, Promise<void>>();

/**
 * Writes down what a heartbeat says as a round of its check. One at a time, whichever process tells: a round says what
 * is new by what was told before it, and the last to tell tells the newest.
 */
export async function tell(deps: HeartbeatDeps, checkId: string): Promise<void> {
  const turn = (underWay.get(deps.db) ?? Promise.resolve()).then(() => tellAlone(deps, checkId));
  underWay.set(
    deps.db,
    turn.catch(() => {}),
  );
  await turn;
}

async function tellAlone(deps: HeartbeatDeps, checkId: string): Promise<void> {
  await deps.db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtext('heartbeat'), hashtext(${checkId}))`.execute(tx);
    const heartbeat = await findByCheck(deps.db, checkId);
    if (heartbeat !== null && heartbeat.state !== "new") await write(deps, heartbeat);
  });
}

async function write(deps: HeartbeatDeps, heartbeat: Heartbeat): Promise<void> {
  const now = deps.clock.now();
  const before = await readFold(deps.db, heartbeat.check_id, locationOf(heartbeat));
  // A beat, or its absence, is a fact: there is nothing to confirm it by.
  const policy: Policy = { ...heartbeat.policy, failures: 1, successes: 1, graceMs: 0 };
  const round = roundOf(heartbeat, before, now);
  const after = fold(before, round, policy);
  const check = { id: heartbeat.check_id, policy: heartbeat.policy };
  await recordRounds(deps, [{ round, check, before, after }], null);
  // A change is due to be told until it was: whoever made it may have died before.
  if (heartbeat.tell_at <= now)
    await tellAgainAt(deps.db, heartbeat, new Date(now.getTime() + heartbeat.policy.intervalMs));
}

/** It is heard beside the control plane; what its policy does not name would not be counted. */
function locationOf({ policy: { locations } }: Pick<Heartbeat, "policy">): string {
  return locations.includes(LOCAL) ? LOCAL : (locations[0] ?? LOCAL);
}

/** A change is dated when it took place, though after all that was told before; what only goes on, now. Pure. */
export function roundOf(
  row: Heartbeat,
  before: Pick<LocationState, "state" | "lastAt"> | null,
  now: Date,
): Round {
  const goesOn = before?.state === row.state;
  const at = goesOn ? now.getTime() : Math.max(row.since.getTime(), (before?.lastAt ?? 0) + 1);
  const observed = {
    state: row.state,
    lastBeatAt: row.last_at?.toISOString() ?? null,
    dueAt: row.expected_at?.toISOString() ?? null,
    runtimeMs: row.last_runtime_ms,
    exitCode: row.last_exit_code,
  };
  const attempt: Attempt = {
    status: row.state === "up" ? "up" : "down",
    ...(row.failure === null ? {} : { failure: row.failure }),
    observed,
    startedAt: at,
    latencyMs: 0,
  };
  const times = { scheduledAt: at, startedAt: at, endedAt: at, lateMs: 0 };
  return { checkId: row.check_id, location: locationOf(row), ...times, attempts: [attempt], untrusted: null };
}
