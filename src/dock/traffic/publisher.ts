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

const POLL_MS = 1_000;
const BACKOFF_MS = { first: 20, most: 1_000 };

export function createPublisher(deps: {
  link: GatewayLink;
  clock: Clock;
  log: Log;
  current: () => number;
  snapshot: () => Snapshot;
  /** The gateway holds a newer generation than ours (a database restored from a backup): go beyond it. */
  raise: (beyond: number) => Promise<void>;
  onAcknowledged: (generation: number) => void;
  acknowledged: number;
  /** How long a change waits for the gateway before its answer says that it is still under way. Default 5 s. */
  ackTimeoutMs?: number;
}): Publisher {
  const closing = new AbortController();
  const waiters = new Set<{ generation: number; resolve: () => void }>();
  const ackTimeoutMs = deps.ackTimeoutMs ?? 5_000;
  let acknowledged = deps.acknowledged;
  let atGateway = 0;
  let running = false;
  let backoff: AbortController | null = null;

  function settle(generation: number): void {
    atGateway = generation;
    if (generation > acknowledged) {
      acknowledged = generation;
      deps.onAcknowledged(generation);
    }
    for (const waiter of waiters) if (waiter.generation <= generation) waiter.resolve();
  }

  async function run(): Promise<void> {
    let delay = BACKOFF_MS.first;
    while (!closing.signal.aborted && atGateway < deps.current()) {
      const snapshot = deps.snapshot();
      try {
        await deps.link.push(snapshot);
        settle(snapshot.generation);
        delay = BACKOFF_MS.first;
      } catch (error) {
        if (await settledByConflict(error, snapshot.generation)) continue;
        deps.log.warn(
          { reason: messageOf(error), generation: snapshot.generation },
          "the gateway did not take it",
        );
        await pause(delay);
        delay = Math.min(delay * 2, BACKOFF_MS.most);
      }
    }
  }

  async function settledByConflict(error: unknown, generation: number): Promise<boolean> {
    if (!(error instanceof AppError) || error.code !== "conflict") return false;
    try {
      const theirs = await deps.link.generation();
      // Equal: our earlier push of it arrived although its answer was lost.
      if (theirs === generation) settle(theirs);
      else if (theirs > generation) await deps.raise(theirs);
      return theirs >= generation;
    } catch {
      return false;
    }
  }

  async function pause(ms: number): Promise<void> {
    backoff = new AbortController();
    await deps.clock.sleep(ms, AbortSignal.any([backoff.signal, closing.signal])).catch(() => {});
    backoff = null;
  }

  function wake(): void {
    if (closing.signal.aborted) return;
    backoff?.abort();
    if (running) return;
    running = true;
    run()
      .catch((error) => deps.log.error({ err: error }, "publishing stopped on a fault of ours"))
      .finally(() => {
        running = false;
      });
  }

  /** A gateway that started again with an older snapshot, or none, gets the newest one within a second. */
  async function watch(): Promise<void> {
    while (!closing.signal.aborted) {
      await deps.clock.sleep(POLL_MS, closing.signal).catch(() => {});
      if (closing.signal.aborted) return;
      if (running) continue;
      try {
        const theirs = await deps.link.generation();
        if (running) continue;
        atGateway = Math.min(theirs, deps.current());
        if (theirs > deps.current()) await deps.raise(theirs);
        else if (theirs < deps.current()) wake();
      } catch {
        atGateway = 0;
        wake();
      }
    }
  }
  void watch();

  return {
    acknowledged: () => acknowledged,
    wake,
    async served(generation) {
      if (acknowledged >= generation) return;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const waiter = { generation, resolve };
      waiters.add(waiter);
      const timer = setTimeout(() => reject(notServed(generation, ackTimeoutMs)), ackTimeoutMs);
      try {
        await promise;
      } finally {
        clearTimeout(timer);
        waiters.delete(waiter);
      }
    },
    close: () => closing.abort(new Error("the dock is closing")),
  };
}

function notServed(generation: number, waitedMs: number): AppError {
  return new AppError(
    "unavailable",
    `The change is decided and stored, but the gateway has not served it within ${waitedMs / 1000} s.`,
    {
      hint: "It is pushed as soon as the gateway answers again. See that the gateway runs: signalbox start gateway.",
      details: { generation },
    },
  );
}
