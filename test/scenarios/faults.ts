import { AppError } from "../../src/foundation/errors.ts";
import type { Random } from "./random.ts";

/** What may happen to one call of a port. */
export type Fault =
  | "none"
  /** The process dies before the call has its effect, or after it and before anything else. */
  | "crash_before"
  | "crash_after"
  /** The call fails without effect. */
  | "fail"
  /** The effect happens, the answer is lost. */
  | "lost_reply"
  | "delay"
  /** The effect happens twice. */
  | "duplicate"
  /** The process is suspended before the call for longer than its lease; others go on meanwhile. */
  | "stall";

/** Which fault the `index`-th call of a run meets. */
export type FaultPlan = (index: number, call: string) => Fault;

export const NO_FAULTS: FaultPlan = () => "none";

/** One crash, at one place. */
export function crashAt(at: number, when: "before" | "after"): FaultPlan {
  return (index) => (index === at ? `crash_${when}` : "none");
}

const ALL: readonly Fault[] = [
  "crash_before",
  "crash_after",
  "fail",
  "lost_reply",
  "delay",
  "duplicate",
  "stall",
];

/** Faults of a mix that the seed draws, until call `until`: afterwards all must come to rest. */
export function randomFaults(random: Random, until: number): FaultPlan {
  const rate = random.pick([0.02, 0.05, 0.15]);
  const kinds = ALL.filter(() => random.chance(0.6));
  return (index) => (index < until && kinds.length > 0 && random.chance(rate) ? random.pick(kinds) : "none");
}

/** The process is gone: nothing of its memory may be used again. */
export class Crash extends Error {}

export type Faulty = {
  readonly plan: FaultPlan;
  count: number;
  readonly trace: string[];
  readonly elapse: (ms: number) => void;
  /** Lets the other workers take turns while this one is suspended. */
  readonly othersGoOn: (worker: { dead: boolean }) => Promise<void>;
  /** Says what must hold, after every call that may change something. */
  readonly check: () => Promise<void>;
};

const STALL_MS = 11_000;
const DELAY_MS = 3_000;

/** Makes one call of a port under the plan's fault. `repeatable`: it may be delivered twice. */
export async function underFaults<T>(
  faulty: Faulty,
  worker: { readonly name: string; dead: boolean },
  call: { name: string; repeatable: boolean; stallable: boolean; writes: boolean },
  act: () => Promise<T>,
): Promise<T> {
  if (worker.dead) throw new Crash(`${worker.name} is dead`);
  const fault = faulty.plan(faulty.count++, call.name);
  faulty.trace.push(`${worker.name} ${call.name}${fault === "none" ? "" : ` !${fault}`}`);
  switch (fault) {
    case "crash_before":
      return die(worker);
    case "fail":
      throw new AppError("upstream", `${call.name} failed (simulated)`);
    case "delay":
      faulty.elapse(DELAY_MS);
      break;
    case "stall":
      if (call.stallable) {
        faulty.elapse(STALL_MS);
        await faulty.othersGoOn(worker);
      }
      break;
    case "duplicate":
      if (call.repeatable) await act();
      break;
    default:
  }
  const result = await act();
  if (call.writes) await faulty.check();
  if (fault === "crash_after") return die(worker);
  if (fault === "lost_reply")
    throw new AppError("upstream", `the answer of ${call.name} was lost (simulated)`);
  return result;
}

function die(worker: { readonly name: string; dead: boolean }): never {
  worker.dead = true;
  throw new Crash(`${worker.name} crashed`);
}
