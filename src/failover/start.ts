import { messageOf } from "../foundation/errors.ts";
import { advanceFailover } from "./advance-failover.ts";
import { advanceStandby } from "./advance-standby.ts";
import type { FailoverDeps } from "./deps.ts";
import { claim, dueRows, LEASE_MS, type Lease, type LeasedTable, release, renew } from "./lease.ts";
import type { PlaceKey } from "./place.ts";
import { followLive } from "./queries.ts";

export type RunningFailover = { readonly deps: FailoverDeps; close(): Promise<void> };

export type FailoverOptions = Omit<FailoverDeps, "wake"> & { readonly everyMs?: number };

const EVERY_MS = 1_000;
const AFTER_ERROR_MS = 5_000;
const RENEW_MS = LEASE_MS / 4;

const WORK = { failovers: advanceFailover, failover_standbys: advanceStandby } satisfies Record<
  LeasedTable,
  (deps: FailoverDeps, lease: Lease, signal: AbortSignal) => Promise<number>
>;

/**
 * Keeps every standby ready and watches every primary, in this process, beside the other control planes: a row has one
 * owner at a time. The two are rows of their own, because a standby may take minutes to build and a watch must not
 * wait for it.
 */
export function startFailover(options: FailoverOptions): RunningFailover {
  const stop = new AbortController();
  const running = new Map<string, Promise<void>>();
  let nudge = new AbortController();
  const deps: FailoverDeps = { ...options, wake: () => nudge.abort(new Error("woken")) };

  async function round(): Promise<void> {
    const now = deps.clock.now();
    await followLive(deps.db, now);
    for (const table of ["failovers", "failover_standbys"] as const) {
      for (const key of await dueRows(deps.db, table, now)) begin(table, key);
    }
  }

  function begin(table: LeasedTable, key: PlaceKey): void {
    const name = `${table} ${key.projectId} ${key.environment}`;
    if (running.has(name) || stop.signal.aborted) return;
    const done = work(deps, table, key, stop.signal)
      .then((again) => again && deps.wake())
      .catch((error) => warn(deps, key, error, stop.signal))
      .finally(() => running.delete(name));
    running.set(
      name,
      done.then(() => {}),
    );
  }

  async function rounds(): Promise<void> {
    while (!stop.signal.aborted) {
      await round().catch((error) => warn(deps, null, error, stop.signal));
      const ends = AbortSignal.any([stop.signal, nudge.signal]);
      await deps.clock.sleep(options.everyMs ?? EVERY_MS, ends).catch(() => {});
      if (nudge.signal.aborted) nudge = new AbortController();
    }
  }

  const ended = rounds();
  return {
    deps,
    async close() {
      stop.abort(new Error("shutting down"));
      await Promise.all([ended, ...running.values()]);
    },
  };
}

/** One turn at a row. True: it wants another at once. */
async function work(
  deps: FailoverDeps,
  table: LeasedTable,
  key: PlaceKey,
  stop: AbortSignal,
): Promise<boolean> {
  const { db, clock } = deps;
  const lease = await claim(db, table, key, { owner: deps.workerId, now: clock.now() });
  if (!lease) return false;
  const lost = new AbortController();
  const renewal = setInterval(() => void keep(deps, table, lease, lost), RENEW_MS);
  let pauseMs = AFTER_ERROR_MS;
  try {
    pauseMs = await WORK[table](deps, lease, AbortSignal.any([stop, lost.signal]));
    return pauseMs === 0;
  } finally {
    clearInterval(renewal);
    await release(db, table, lease, new Date(clock.now().getTime() + (stop.aborted ? 0 : pauseMs)));
  }
}

async function keep(
  deps: FailoverDeps,
  table: LeasedTable,
  lease: Lease,
  lost: AbortController,
): Promise<void> {
  const kept = await renew(deps.db, table, lease, deps.clock.now()).catch(() => true);
  if (!kept) lost.abort(new Error("the lease was taken over"));
}

function warn(deps: FailoverDeps, key: PlaceKey | null, error: unknown, stop: AbortSignal): void {
  if (stop.aborted) return;
  deps.log.warn({ ...key, reason: messageOf(error) }, "failover could not look; it looks again");
}
