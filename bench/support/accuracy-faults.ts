import type { Outcome, Policy } from "../../src/checks/model.ts";
import type { Window } from "../../src/checks/uptime.ts";
import type { Random } from "../../test/scenarios/random.ts";

/** What goes wrong with a target, or with whoever looks at it. */
export const FAULTS = [
  "refuse",
  "hang",
  "slow",
  "status 500",
  "wrong body",
  "expired certificate",
  "flapping",
  "1 of 3 locations",
  "own network down",
  "no prober",
] as const;
export type Fault = (typeof FAULTS)[number];

/** A stretch in which it is as the fault says. */
export type Trouble = Window & {
  /** The locations that see it. Null: all. */
  readonly seenBy: readonly string[] | null;
  /** What a perfect witness would say of the service. */
  readonly truth: "down" | "degraded" | "up";
};

export type Script = {
  readonly fault: Fault;
  readonly policy: Policy;
  /** In the order of their starts; they never overlap. */
  readonly troubles: readonly Trouble[];
};

const MINUTE_MS = 60_000;

/** Troubles of a random length, between pauses of a random length, all the time through. */
export function scriptOf(fault: Fault, policy: Policy, window: Window, random: Random): Script {
  // What is shorter than that may pass between two looks.
  const seenMs = policy.intervalMs + policy.timeoutMs;
  const length = (least: number, most: number) => least + random.below(most - least);
  const troubles: Trouble[] = [];
  let at = window.from + length(20 * MINUTE_MS, 60 * MINUTE_MS);
  const add = (ms: number, more: Pick<Trouble, "seenBy" | "truth">) => {
    troubles.push({ from: at, to: at + ms, ...more });
    at += ms;
  };
  while (at < window.to - 3 * 60 * MINUTE_MS) {
    if (fault === "flapping") {
      for (let turn = 4 + random.below(8); turn > 0; turn--) {
        add(length(2 * seenMs, 8 * seenMs), { seenBy: null, truth: "down" });
        at += length(2 * seenMs, 8 * seenMs);
      }
    } else if (fault === "1 of 3 locations" && random.chance(0.7)) {
      add(length(2 * MINUTE_MS, 40 * MINUTE_MS), { seenBy: [random.pick(policy.locations)], truth: "up" });
    } else {
      add(length(2 * MINUTE_MS, 90 * MINUTE_MS), { seenBy: null, truth: truthOf(fault) });
    }
    at += length(30 * MINUTE_MS, 300 * MINUTE_MS);
  }
  return { fault, policy, troubles };
}

function truthOf(fault: Fault): Trouble["truth"] {
  if (fault === "slow") return "degraded";
  return fault === "own network down" || fault === "no prober" ? "up" : "down";
}

/** What becomes of an attempt that begins now. `afterMs` null: no answer ever comes. */
export type Reaction = { readonly afterMs: number | null; readonly outcome: Outcome };

const HUNG: Reaction = { afterMs: null, outcome: { status: "down" } };

/** One packet in a thousand is lost, and its attempt with it: on a fresh connection the next one answers. */
const LOST = 0.001;

export function reactionOf(fault: Fault | null, policy: Policy, random: Random): Reaction {
  if (random.chance(LOST)) return HUNG;
  const quick = 2 + random.below(40);
  const fails = (name: NonNullable<Outcome["failure"]>["class"]): Reaction => ({
    afterMs: quick,
    outcome: { status: "down", failure: { class: name, message: name } },
  });
  switch (fault) {
    case "hang":
      return HUNG;
    case "own network down":
      return random.chance(0.5) ? HUNG : fails("unreachable");
    case "slow":
      return { afterMs: (policy.degradedMs ?? 0) + 50 + random.below(400), outcome: { status: "up" } };
    case "status 500":
      return fails("status");
    case "wrong body":
      return fails("assertion");
    case "expired certificate":
      return fails("certificate");
    case "refuse":
    case "flapping":
    case "1 of 3 locations":
      return fails("refused");
    default:
      return { afterMs: quick, outcome: { status: "up" } };
  }
}
