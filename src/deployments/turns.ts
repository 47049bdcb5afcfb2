import type { Clock } from "../foundation/clock.ts";
import type { Deployment } from "./record.ts";

/**
 * Turns at once of deployments that have no traffic. Mostly they wait for others' answers, so there may be many of
 * them; but once this process can not keep up, every answer of the API would wait for a piece of each, and two at a
 * time are done no later. So there is room for one more as long as timers are in time, and for the least when one was
 * late. Measured with 200 deployments at once: `npm run bench -- throughput`.
 */
const LEAST = 2;
const MOST = 64;
const LOOK_MS = 10;
const LATE_MS = 5;
/** A turn that takes longer waits for somebody else: it must not keep the others from theirs. */
const LONGEST_MS = 1_000;

export type Turns = {
  /** Resolves with the end of the turn, once there is room. */
  enter(): Promise<() => void>;
  close(): void;
};

export function createTurns(clock: Pick<Clock, "monotonicMs">): Turns {
  const waiting: (() => void)[] = [];
  let taken = 0;
  let room = LEAST;
  let lookedMs = clock.monotonicMs();
  const admit = () => {
    while (taken < room && waiting.length > 0) {
      taken += 1;
      waiting.shift()?.();
    }
  };
  const timer = setInterval(() => {
    const now = clock.monotonicMs();
    const isLate = now - lookedMs - LOOK_MS > LATE_MS;
    lookedMs = now;
    if (isLate) room = LEAST;
    else if (waiting.length > 0 && room < MOST) room += 1;
    admit();
  }, LOOK_MS);
  timer.unref();
  return {
    async enter() {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        admit();
      });
      let isOver = false;
      const leave = () => {
        if (isOver) return;
        isOver = true;
        clearTimeout(late);
        taken -= 1;
        admit();
      };
      const late = setTimeout(leave, LONGEST_MS);
      late.unref();
      return leave;
    },
    close: () => clearInterval(timer),
  };
}

/** Who moves traffic waits for nobody; nor may whoever waits for a repository or a database keep others from theirs. */
export function takesTurns({ state, source }: Deployment): boolean {
  if (state === "preparing") return "tree" in source;
  return state === "queued" || state === "building" || state === "verifying" || state === "awaiting_approval";
}
