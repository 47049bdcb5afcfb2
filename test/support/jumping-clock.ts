import { type Clock, systemClock } from "../../src/foundation/clock.ts";

/** The machine's clock, ahead by what the test says. Whoever sleeps a minute or longer wakes up when it jumps. */
export function jumpingClock() {
  let aheadMs = 0;
  let jumped = Promise.withResolvers<void>();
  const clock: Clock = {
    now: () => new Date(systemClock.now().getTime() + aheadMs),
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    sleep: (ms, signal) =>
      ms < 60_000
        ? systemClock.sleep(ms, signal)
        : Promise.race([jumped.promise, systemClock.sleep(ms, signal)]),
  };
  const jump = (ms: number) => {
    aheadMs += ms;
    jumped.resolve();
    jumped = Promise.withResolvers<void>();
  };
  return { clock, jump };
}
