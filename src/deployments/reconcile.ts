import type { GateFacts, GateVerdict } from "../gates/index.ts";
import type { QueryResult, ServiceCounters, Signal } from "../rollouts/index.ts";
import type { TargetDeployment, Traffic } from "../targets/target.ts";
import { isPastProgress } from "./deadlines.ts";
import { build, verify } from "./decide-build.ts";
import { cleanUp, contract, overdue } from "./decide-end.ts";
import { awaitApproval, migrate, release, start } from "./decide-gate.ts";
import { rollBack } from "./decide-rollback.ts";
import { shift } from "./decide-shift.ts";
import type { Phase } from "./plan-source.ts";
import type { ProbeResult, Unwell } from "./ports.ts";
import type { Deployment } from "./record.ts";
import { isActive, type State } from "./state.ts";

type ByService<T> = Readonly<Record<string, T>>;

/** What was seen just now. Only what the deployment's state calls for is filled in; the rest is null. */
export type Observed = {
  /** `queued`: the deployment that has to end or start first. */
  readonly blockedBy: string | null;
  /** `queued`: what locks the environment. */
  readonly start: GateVerdict | null;
  readonly builds: ByService<TargetDeployment | "gone">;
  readonly gate: GateFacts | null;
  readonly traffic: ByService<Traffic> | null;
  /** `releasing`: the own addresses of those that have traffic, by id at the target. */
  readonly previousUrls: Readonly<Record<string, string>>;
  /** Each service's own address, one result for each of its checks. */
  readonly probes: ByService<readonly ProbeResult[]>;
  /** The releases that served before, or, while rolling back, those that traffic goes back to. */
  readonly baseline: ByService<readonly ProbeResult[]>;
  /** The main public hosts' answers to the first check; looked at once all traffic is moved. */
  readonly publicProbes: ByService<ProbeResult> | null;
  readonly counters: readonly ServiceCounters[] | null;
  readonly queries: readonly QueryResult[] | null;
  readonly signals: readonly Signal[];
  /** `shifting`: the environment's critical checks that are down. */
  readonly unwell: readonly Unwell[];
  /** `live` with a contract due: requests that the releases before it still answer; null: nobody can tell. */
  readonly inFlightBefore: number | null;
};

export const NOTHING_OBSERVED: Observed = {
  blockedBy: null,
  start: null,
  builds: {},
  gate: null,
  traffic: null,
  previousUrls: {},
  probes: {},
  baseline: {},
  publicProbes: null,
  counters: null,
  queries: null,
  signals: [],
  unwell: [],
  inFlightBefore: null,
};

/** Columns that a step sets beside the state. */
export type Patch = Partial<
  Pick<
    Deployment,
    | "services"
    | "plan"
    | "branch"
    | "commit"
    | "facts"
    | "weight"
    | "rollbackToId"
    | "cleanup"
    | "retiredAt"
    | "contractAt"
    | "deadlineAt"
    | "outcome"
  >
>;

export type Step =
  /** Nothing to do before `until`, unless something happens. */
  | { readonly do: "wait"; readonly until: Date; readonly patch?: Patch }
  | {
      readonly do: "move";
      readonly to: State;
      readonly reason: string;
      readonly hint?: string;
      readonly patch?: Patch;
    }
  | { readonly do: "prepare" | "hold" | "unhold" | "cancel_build" | "retire" | "vacate" }
  | { readonly do: "build"; readonly service: string }
  | { readonly do: "migrate"; readonly phase: Phase }
  | { readonly do: "shift"; readonly service: string; readonly weight: number; readonly patch: Patch }
  /** All traffic of a service back to a release that has served it. */
  | { readonly do: "restore_traffic"; readonly service: string; readonly to: string }
  /** Some of it, on the way back by steps. */
  | { readonly do: "return_traffic"; readonly service: string; readonly to: string; readonly weight: number }
  /** Nothing will ever be done again. */
  | { readonly do: "rest" };

/**
 * What a deployment should do next. Pure: one step, decided from the row, from what was just observed, and from `now`.
 * Safety rests here: traffic moves to a release only in `shifting`, which is entered only after `verifying` saw health
 * and the gate was open at the last moment.
 */
export function reconcile(deployment: Deployment, observed: Observed, now: Date): Step {
  if (isOverdue(deployment, now)) return overdue(deployment);
  switch (deployment.state) {
    case "queued":
      return start(deployment, observed, now);
    case "preparing":
      return { do: "prepare" };
    case "building":
      return build(deployment, observed, now);
    case "verifying":
      return verify(deployment, observed, now);
    case "awaiting_approval":
      return awaitApproval(deployment, observed, now);
    case "migrating":
      return migrate(deployment, observed, now);
    case "releasing":
      return release(deployment, observed, now);
    case "shifting":
      return shift(deployment, observed, now);
    case "rolling_back":
      return rollBack(deployment, observed, now);
    case "live":
      return deployment.cleanup ? cleanUp(deployment) : contract(deployment, observed, now);
    default:
      return deployment.cleanup ? cleanUp(deployment) : { do: "rest" };
  }
}

/** One that waits for people is not late. */
export function isOverdue(deployment: Deployment, now: Date): boolean {
  const { deadlineAt, state, facts } = deployment;
  if (deadlineAt && now >= deadlineAt) return true;
  const waits =
    state === "awaiting_approval" ||
    state === "queued" ||
    facts.pausedAtMs !== undefined ||
    typeof facts.blocked?.leftMs === "number";
  return isActive(state) && state !== "rolling_back" && !waits && isPastProgress(deployment, now);
}
