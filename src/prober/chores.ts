import type { Clock } from "../foundation/clock.ts";
import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";

/** What is to be done for the shards that a prober holds, beside asking. `now` is the wall clock. */
export type Chores = {
  /** Verdicts change without news, too: something ends, or grows too old. Each second. */
  judgeDue(shards: readonly number[], now: Date): Promise<unknown>;
  /** Heartbeats that did not come. Each second. */
  sweepHeartbeats(shards: readonly number[], now: Date): Promise<unknown>;
  /** Each minute. */
  rollUp(shards: readonly number[], now: Date): Promise<unknown>;
  /** Partitions that will be needed, and those past keeping. Each hour, and before anything else. */
  keepPartitions(now: Date): Promise<unknown>;
};

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export type ChoreDeps = {
  readonly clock: Clock;
  readonly log: Log;
  readonly chores: Chores;
  held(): readonly number[];
};

/** Does each chore in its own rhythm, never beside itself. Resolves when there are partitions to write into. */
export async function startChores(deps: ChoreDeps): Promise<{ close(): Promise<void> }> {
  const { clock, chores } = deps;
  const stop = new AbortController();

  async function once(name: keyof Chores): Promise<void> {
    if (name === "keepPartitions") return void (await chores.keepPartitions(clock.now()));
    const shards = deps.held();
    if (shards.length > 0) await chores[name](shards, clock.now());
  }

  async function repeat(name: keyof Chores, everyMs: number): Promise<void> {
    while (!stop.signal.aborted) {
      await clock.sleep(everyMs, stop.signal).catch(() => {});
      if (stop.signal.aborted) return;
      await once(name).catch((error) =>
        deps.log.warn({ chore: name, reason: messageOf(error) }, "a chore failed"),
      );
    }
  }

  await once("keepPartitions");
  const running = [
    repeat("judgeDue", SECOND_MS),
    repeat("sweepHeartbeats", SECOND_MS),
    repeat("rollUp", MINUTE_MS),
    repeat("keepPartitions", HOUR_MS),
  ];
  return {
    async close() {
      stop.abort();
      await Promise.all(running);
    },
  };
}
