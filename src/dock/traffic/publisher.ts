import type { Clock } from "../../foundation/clock.ts";
import { AppError, messageOf } from "../../foundation/errors.ts";
import type { Log } from "../../foundation/log.ts";
import type { Snapshot } from "../../gateway/index.ts";
import type { GatewayLink } from "./gateway-link.ts";

/**
 * Brings the gateway to the newest snapshot and keeps it there: one push at a time, the newest state only (changes that
 * arrive meanwhile share the next push), again and again with backoff while the gateway is away.
 */
export type Publisher = {
  /** The newest generation that the gateway ever acknowledged. */
  acknowledged(): number;
  /** Says that there is something new to push. Returns at once. */
  wake(): void;
  /** Resolves once a generation at or above this one is served. @throws AppError `unavailable` after the timeout. */
  served(generation: number): Promise<void>;
  close(): void;
};

export type PublisherDeps = {
  readonly link: GatewayLink;
  readonly clock: Clock;
  readonly log: Log;
  /** The generation to bring the gateway to, and its snapshot. */
  readonly current: () => number;
  readonly snapshot: () => Snapshot;
  /** The gateway holds a newer generation than ours (a database restored from a backup): go beyond it. */
  readonly raise: (beyond: number) => Promise<void>;
  readonly onAcknowledged: (generation: number) => void;
  /** What an earlier process knew to be acknowledged. */
  readonly acknowledged: number;
  /** How long a change waits for the gateway before its answer says that it is still under way. Default 5 s. */
  readonly ackTimeoutMs?: number;
};

const ACK_TIMEOUT_MS = 5_000;
const POLL_MS = 1_000;
const BACKOFF_MS = { first: 20, most: 1_000 };

type Press = {
  readonly deps: PublisherDeps;
  readonly closing: AbortController;
  readonly waiters: Set<{ readonly generation: number; readonly resolve: () => void }>;
  acknowledged: number;
  /** As far as known; 0 while it is away. */
  atGateway: number;
  running: boolean;
  backoff: AbortController | null;
};

export function createPublisher(deps: PublisherDeps): Publisher {
  const press: Press = {
    deps,
    closing: new AbortController(),
    waiters: new Set(),
    acknowledged: deps.acknowledged,
    atGateway: 0,
    running: false,
    backoff: null,
  };
  void watch(press);
  return {
    acknowledged: () => press.acknowledged,
    wake: () => wake(press),
    served: (generation) => served(press, generation),
    close: () => press.closing.abort(new Error("the dock is closing")),
  };
}

function wake(press: Press): void {
  if (press.closing.signal.aborted) return;
  press.backoff?.abort();
  if (press.running) return;
  press.running = true;
  run(press).then(
    () => {
      press.running = false;
      // Something may have come between the last look at the generation and this turn.
      if (press.atGateway < press.deps.current()) wake(press);
    },
    (error) => {
      press.running = false;
      press.deps.log.error({ err: error }, "publishing stopped on a fault of ours");
    },
  );
}

async function run(press: Press): Promise<void> {
  const { deps, closing } = press;
  let delay = BACKOFF_MS.first;
  while (!closing.signal.aborted && press.atGateway < deps.current()) {
    const snapshot = deps.snapshot();
    try {
      await deps.link.push(snapshot);
      settle(press, snapshot.generation);
      delay = BACKOFF_MS.first;
    } catch (error) {
      if (await settledByConflict(press, error, snapshot.generation)) continue;
      deps.log.warn({ reason: messageOf(error), generation: snapshot.generation }, "the push was not taken");
      await pause(press, delay);
      delay = Math.min(delay * 2, BACKOFF_MS.most);
    }
  }
}

function settle(press: Press, generation: number): void {
  press.atGateway = generation;
  if (generation > press.acknowledged) {
    press.acknowledged = generation;
    press.deps.onAcknowledged(generation);
  }
  for (const waiter of press.waiters) if (waiter.generation <= generation) waiter.resolve();
}

/** True when the gateway's refusal is dealt with: it holds this generation, or ours is beyond its now. */
async function settledByConflict(press: Press, error: unknown, generation: number): Promise<boolean> {
  if (!(error instanceof AppError) || error.code !== "conflict") return false;
  try {
    const theirs = await press.deps.link.generation();
    // Equal: our earlier push of it arrived although its answer was lost.
    if (theirs === generation) settle(press, theirs);
    else if (theirs > generation) await press.deps.raise(theirs);
    return theirs >= generation;
  } catch {
    return false;
  }
}

async function pause(press: Press, ms: number): Promise<void> {
  press.backoff = new AbortController();
  const signal = AbortSignal.any([press.backoff.signal, press.closing.signal]);
  await press.deps.clock.sleep(ms, signal).catch(() => {});
  press.backoff = null;
}

/** A gateway that started again with an older snapshot, or none, gets the newest one within a second. */
async function watch(press: Press): Promise<void> {
  const { deps, closing } = press;
  while (!closing.signal.aborted) {
    await deps.clock.sleep(POLL_MS, closing.signal).catch(() => {});
    if (closing.signal.aborted) return;
    if (press.running) continue;
    try {
      const theirs = await deps.link.generation();
      if (press.running) continue;
      press.atGateway = Math.min(theirs, deps.current());
      if (theirs > deps.current()) await deps.raise(theirs);
      else if (theirs < deps.current()) wake(press);
    } catch {
      press.atGateway = 0;
      wake(press);
    }
  }
}

async function served(press: Press, generation: number): Promise<void> {
  if (press.acknowledged >= generation) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const waiter = { generation, resolve };
  press.waiters.add(waiter);
  const timeoutMs = press.deps.ackTimeoutMs ?? ACK_TIMEOUT_MS;
  const timer = setTimeout(() => reject(notServed(generation, timeoutMs)), timeoutMs);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    press.waiters.delete(waiter);
  }
}

function notServed(generation: number, waitedMs: number): AppError {
  return new AppError(
    "unavailable",
    `The change is decided and stored, but the gateway has not served it within ${waitedMs / 1000} s.`,
    {
      hint: "It is pushed once the gateway answers again. See that the gateway runs: signalbox start gateway.",
      details: { generation },
    },
  );
}
