import type { Clock } from "../foundation/clock.ts";
import type { Log } from "../foundation/log.ts";

/** Does work when its time comes. */
export type Alarm = {
  /** Something may be due earlier than was thought. */
  wake(): void;
  /** Resolves once the work under way has ended. */
  close(): Promise<void>;
};

/** A time that nobody told us about, such as a row written by hand, is seen after this. */
const LONGEST_SLEEP_MS = 60_000;
const AFTER_FAULT_MS = 5_000;

/** @param deps.work does what is due, and says when to come again; null: when woken. */
export function createAlarm(deps: {
  clock: Clock;
  log: Log;
  work: readonly (() => Promise<Date | null>)[];
}): Alarm {
  const { clock, log } = deps;
  const closing = new AbortController();
  let nap = new AbortController();
  let isWoken = false;

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      isWoken = false;
      let nextMs = LONGEST_SLEEP_MS;
      for (const work of deps.work) {
        try {
          const next = await work();
          if (next) nextMs = Math.min(nextMs, Math.max(0, next.getTime() - clock.now().getTime()));
        } catch (error) {
          if (closing.signal.aborted) return;
          log.error({ err: error }, "what was due could not be done");
          nextMs = Math.min(nextMs, AFTER_FAULT_MS);
        }
      }
      if (isWoken) continue;
      nap = new AbortController();
      await clock.sleep(nextMs, AbortSignal.any([nap.signal, closing.signal])).catch(() => {});
    }
  }

  const running = run();
  return {
    wake() {
      isWoken = true;
      nap.abort(new Error("woken"));
    },
    async close() {
      closing.abort(new Error("the dock is closing"));
      await running;
    },
  };
}
