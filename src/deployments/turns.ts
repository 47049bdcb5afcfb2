import type { Deployment } from "./record.ts";

/**
 * Turns at once of deployments that have no traffic. With two hundred of them every answer of the API would wait for a
 * piece of each; with this many a burst takes no longer, since all share one processor.
 */
const TURNS_AT_ONCE = 12;

export type Turns = {
  /** Resolves with the end of the turn, once there is room. */
  enter(): Promise<() => void>;
};

export function createTurns(limit = TURNS_AT_ONCE): Turns {
  const waiting: (() => void)[] = [];
  let taken = 0;
  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else taken -= 1;
  };
  return {
    async enter() {
      if (taken < limit) taken += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      return leave;
    },
  };
}

/** Who moves traffic waits for nobody; nor may whoever waits for a repository or a database keep others from theirs. */
export function takesTurns({ state, source }: Deployment): boolean {
  if (state === "preparing") return "tree" in source;
  return state === "queued" || state === "building" || state === "verifying" || state === "awaiting_approval";
}
