import { LedgerConflict } from "../../src/deployments/ledger.ts";
import { AppError } from "../../src/foundation/errors.ts";
import type { Random } from "./random.ts";

/** What may happen to one call of a port. */
export type Fault =
  | "none"
  /** The process dies before the call has its effect, or after it and before anything else. */
  | "crash_before"
  | "crash_after"
  /** The call fails without effect: no connection, a 5xx, a 429. */
  | "fail"
  /** The effect happens, the answer is lost. */
  | "lost_reply"
  | "delay"
  /** The effect happens twice. */
  | "duplicate"
  /** The process is suspended before the call for longer than its lease; others go on meanwhile. */
  | "stall"
  /** A person takes the deployment over while the call is under way; its effect comes late, within the lease. */
  | "overtaken"
  /** The database refuses the transaction because of another one (Postgres 40001). */
  | "serialization";

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
  "overtaken",
  "serialization",
];

/** Faults of a mix that the seed draws, until call `until`: afterwards all must come to rest. */
export function randomFaults(random: Random, until: number): FaultPlan {
  const rate = random.pick([0.02, 0.05, 0.15]);
  const kinds = ALL.filter(() => random.chance(0.6));
  return (index) => (index < until && kinds.length > 0 && random.chance(rate) ? random.pick(kinds) : "none");
}

/** The process is gone: nothing of its memory may be used again. */
export class Crash extends Error {}

/** A process as the faults see it. */
export type Victim = { readonly name: string; dead: boolean };

export type Faulty = {
  readonly plan: FaultPlan;
  count: number;
  readonly trace: string[];
  readonly elapse: (ms: number) => void;
  /** Lets the other workers take turns while this one is suspended. */
  readonly othersGoOn: (victim: Victim) => Promise<void>;
  /** Makes the call, whose effect comes a while later; a person acts meanwhile, and the other workers after them. */
  readonly overtake: <T>(victim: Victim, act: () => Promise<T>, afterMs: number) => Promise<T>;
  /** Says what must hold, after every call that may change something. */
  readonly check: () => void;
};

export type PortCall = {
  readonly name: string;
  /** It may be delivered twice. */
  readonly repeatable: boolean;
  /** Others may go on before it. What is looked at side by side is not suspended: the order must be one. */
  readonly stallable: boolean;
  /** Its effect may come after a person has decided otherwise. */
  readonly overtakable: boolean;
  readonly writes: boolean;
  /** A transaction: it may be refused because of another one. */
  readonly serializable: boolean;
};

const STALL_MS = 11_000;
const DELAY_MS = 3_000;
const PROVIDER_FAULTS = ["answered 503", "answered 429", "did not answer"];

/** Makes one call of a port under the plan's fault. */
export async function underFaults<T>(
  faulty: Faulty,
  victim: Victim,
  call: PortCall,
  act: () => Promise<T>,
): Promise<T> {
  if (victim.dead) throw new Crash(`${victim.name} is dead`);
  const index = faulty.count++;
  const fault = faulty.plan(index, call.name);
  faulty.trace.push(
    fault === "none" ? `${victim.name} ${call.name}` : `${victim.name} ${call.name} !${fault}`,
  );
  switch (fault) {
    case "crash_before":
      return die(victim);
    case "fail":
      throw new AppError("upstream", `${call.name} ${PROVIDER_FAULTS[index % 3]} (simulated)`);
    case "serialization":
      if (call.serializable) throw new LedgerConflict("conflict", "40001 (simulated)");
      break;
    case "delay":
      faulty.elapse(DELAY_MS);
      break;
    case "stall":
      if (call.stallable) {
        faulty.elapse(STALL_MS);
        await faulty.othersGoOn(victim);
      }
      break;
    case "duplicate":
      if (call.repeatable) await act();
      break;
    default:
  }
  const isLate = fault === "overtaken" && call.overtakable;
  const result = await (isLate ? faulty.overtake(victim, act, DELAY_MS) : act());
  if (call.writes) faulty.check();
  if (fault === "crash_after") return die(victim);
  if (fault === "lost_reply")
    throw new AppError("upstream", `the answer of ${call.name} was lost (simulated)`);
  return result;
}

function die(victim: Victim): never {
  victim.dead = true;
  throw new Crash(`${victim.name} crashed`);
}
