import type { Counters } from "../rollouts/index.ts";
import { nextRolloutStep, planRollout } from "../rollouts/index.ts";
import type { TargetDeployment, Traffic } from "../targets/target.ts";
import type { ProbeResult } from "./ports.ts";
import type { Deployment, Facts } from "./record.ts";
import type { State } from "./state.ts";
import { judge, minHealthyMs, probeFailure } from "./verify.ts";

/** What was seen just now. Only what the deployment's state calls for is filled in; the rest is null. */
export type Observed = {
  /** `queued`: the deployment that has to end or start first. */
  readonly blockedBy: string | null;
  readonly build: TargetDeployment | "gone" | null;
  readonly traffic: Traffic | null;
  readonly probe: ProbeResult | null;
  /** The main public host's answer. */
  readonly publicProbe: ProbeResult | null;
  readonly counters: Counters | null;
};

export const NOTHING_OBSERVED: Observed = {
  blockedBy: null,
  build: null,
  traffic: null,
  probe: null,
  publicProbe: null,
  counters: null,
};

/** Columns that a step sets beside the state. */
export type Patch = Partial<
  Pick<
    Deployment,
    | "targetDeploymentId"
    | "url"
    | "urls"
    | "kind"
    | "reused"
    | "buildStartedAt"
    | "plan"
    | "branch"
    | "commit"
    | "facts"
    | "weight"
    | "previousTargetId"
    | "rollbackToId"
    | "rollbackToTargetId"
    | "cleanup"
    | "retiredAt"
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
  | { readonly do: "prepare" | "build" | "cancel_build" | "retire" }
  | { readonly do: "shift"; readonly weight: number; readonly patch: Patch }
  | { readonly do: "restore_traffic"; readonly to: string }
  /** Nothing will ever be done again. */
  | { readonly do: "rest" };

/** A queued deployment is woken when its turn comes; this is for the wake-up that gets lost. */
const QUEUE_LOOK_MS = 30_000;

/**
 * What a deployment should do next. Pure: one step, decided from the row, from what was just observed, and from `now`.
 * Safety rests here: traffic moves to a release only in `shifting`, which is entered only after `verifying` saw health.
 */
export function reconcile(deployment: Deployment, observed: Observed, now: Date): Step {
  if (deployment.deadlineAt && now >= deployment.deadlineAt) return overdue(deployment);
  switch (deployment.state) {
    case "queued":
      if (observed.blockedBy !== null) return { do: "wait", until: after(now, QUEUE_LOOK_MS) };
      return { do: "move", to: "preparing", reason: "Its turn has come." };
    case "preparing":
      return { do: "prepare" };
    case "building":
      return build(deployment, observed, now);
    case "verifying":
      return verify(deployment, observed, now);
    case "awaiting_approval":
    case "migrating":
      return { do: "move", to: "releasing", reason: "No approval and no migration is asked for." };
    case "releasing":
      return release(deployment, observed, now);
    case "shifting":
      return shift(deployment, observed, now);
    case "rolling_back":
      return rollBack(deployment, observed, now);
    default:
      return deployment.cleanup ? cleanUp(deployment) : { do: "rest" };
  }
}

function cleanUp(deployment: Deployment): Step {
  if (deployment.cleanup === "retire") return { do: "retire" };
  // Whether the target ever took the build is known only by asking for it again with the same key.
  return { do: deployment.targetDeploymentId === null ? "build" : "cancel_build" };
}

function build(deployment: Deployment, { build }: Observed, now: Date): Step {
  if (deployment.targetDeploymentId === null) return { do: "build" };
  if (build === "gone") {
    return failed(`The target has no deployment ${deployment.targetDeploymentId} any more.`, {
      hint: "Deploy again.",
    });
  }
  if (build === null) return { do: "wait", until: after(now, buildLookMs(deployment, now)) };
  const patch = seenAtTarget(deployment, build);
  switch (build.state) {
    case "ready":
      return {
        do: "move",
        to: "verifying",
        reason: build.reused ? "An earlier build of the same tree was reused." : "The build is ready.",
        patch,
      };
    case "error":
      return failed(build.error ? `The build failed: ${build.error.message}` : "The build failed.", {
        hint: "Read the end of the build log, correct it, and deploy again.",
        patch: { ...patch, cleanup: "retire" },
      });
    case "canceled":
      return { do: "move", to: "canceled", reason: "The build was canceled at the target.", patch };
    default:
      return { do: "wait", until: after(now, buildLookMs(deployment, now)), patch };
  }
}

function seenAtTarget(deployment: Deployment, seen: TargetDeployment): Patch {
  const { url, kind, reused, buildStartedAt } = seen;
  return { url, kind, reused, buildStartedAt: buildStartedAt ?? deployment.buildStartedAt };
}

/** Looks often at first, when a reused or static build may be ready in no time, then ever less. */
function buildLookMs(deployment: Deployment, now: Date): number {
  const elapsed = now.getTime() - deployment.stateSince.getTime();
  if (elapsed < 3_000) return 50;
  return elapsed < 60_000 ? 500 : 1_000;
}

function verify(deployment: Deployment, { probe }: Observed, now: Date): Step {
  const policy = deployment.plan?.health;
  if (!policy || !probe) return { do: "wait", until: after(now, policy?.intervalMs ?? 500) };
  const times = { now, since: deployment.stateSince, minHealthyMs: minHealthyMs(deployment) };
  const verdict = judge(deployment.facts.verification, probe, policy, times);
  const facts: Facts = { ...deployment.facts, verification: verdict.verification };
  switch (verdict.is) {
    case "healthy":
      return {
        do: "move",
        to: "releasing",
        reason: `Healthy for ${Math.round(times.minHealthyMs / 100) / 10} s.`,
        patch: { facts },
      };
    case "failed":
      return failed(verdict.reason, {
        hint: `See that the app listens on $PORT and answers GET ${policy.path}, or change "health" in signalbox.yaml.`,
        patch: { facts, cleanup: "retire" },
      });
    default:
      return { do: "wait", until: after(now, policy.intervalMs), patch: { facts } };
  }
}

function release(deployment: Deployment, { traffic }: Observed, now: Date): Step {
  const { plan } = deployment;
  if (!traffic || !plan) return { do: "wait", until: after(now, 200) };
  const previousTargetId = mainRelease(traffic, deployment.targetDeploymentId);
  const rollout = planRollout(plan.strategy, previousTargetId);
  return {
    do: "move",
    to: "shifting",
    reason: previousTargetId ? `Taking over from ${previousTargetId}.` : "Nothing serves here yet.",
    patch: { previousTargetId, facts: { ...deployment.facts, rollout } },
  };
}

/** Who has most of the traffic, `besides` left out. */
function mainRelease(traffic: Traffic, besides: string | null): string | null {
  const others = Object.entries(traffic).filter(([id, weight]) => id !== besides && weight > 0);
  return others.sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

function shift(deployment: Deployment, observed: Observed, now: Date): Step {
  const { plan, targetDeploymentId } = deployment;
  const { rollout } = deployment.facts;
  if (!plan || !rollout || !targetDeploymentId || !observed.traffic) {
    return { do: "wait", until: after(now, 200) };
  }
  const { strategy, health } = plan;
  const weight = observed.traffic[targetDeploymentId] ?? 0;
  const step = nextRolloutStep(
    {
      rollout,
      weight,
      probe: observed.probe && outcome(probeFailure(observed.probe, health)),
      publicAnswer: observed.publicProbe && outcome(publicFailure(deployment, observed.publicProbe)),
      counters: observed.counters,
      now,
    },
    strategy.kind === "canary" ? strategy : null,
  );
  const patch: Patch = { weight, facts: { ...deployment.facts, rollout: step.rollout } };
  switch (step.do) {
    case "shift":
      return { do: "shift", weight: step.weight, patch };
    case "finish":
      return { do: "move", to: "live", reason: liveReason(step.rollout.notes), patch };
    case "abort":
      return takeBack(deployment, step.reason, patch);
    default: {
      const nextProbe = after(now, health.intervalMs);
      const until = step.until > now && step.until < nextProbe ? step.until : nextProbe;
      return { do: "wait", until, patch };
    }
  }
}

function outcome(failure: string | null): { ok: boolean; detail: string } {
  return { ok: failure === null, detail: failure ?? "" };
}

/** Why the main public host's answer does not prove that this release serves it; null when it does. */
function publicFailure(deployment: Deployment, probe: ProbeResult): string | null {
  const failure = deployment.plan && probeFailure(probe, deployment.plan.health);
  if (failure) return `${deployment.urls[0] ?? "the public host"}: ${failure}`;
  const from = probe.deploymentHeader;
  if (from === undefined || from === deployment.targetDeploymentId) return null;
  return `${deployment.urls[0] ?? "the public host"} was answered by ${from}`;
}

function liveReason(notes: readonly string[]): string {
  return ["All traffic is on it.", ...notes.map((note) => `${note}.`)].join(" ");
}

/** Ends a rollout that went wrong. */
function takeBack(deployment: Deployment, reason: string, patch: Patch): Step {
  if (deployment.previousTargetId === null) {
    return failed(`${reason}. There was no release before it to go back to.`, {
      hint: "Deploy a corrected commit; until then the environment has no healthy release.",
      patch,
    });
  }
  return {
    do: "move",
    to: "rolling_back",
    reason,
    hint: "Read what the release answered, correct it, and deploy again; the previous release serves.",
    patch: { ...patch, rollbackToTargetId: deployment.previousTargetId },
  };
}

function rollBack(deployment: Deployment, { traffic }: Observed, now: Date): Step {
  const to = deployment.rollbackToTargetId;
  if (to === null)
    return failed("There is no release to go back to.", { hint: "Deploy a corrected commit." });
  if (!traffic) return { do: "wait", until: after(now, 200) };
  if (traffic[to] !== 100) return { do: "restore_traffic", to };
  const weight = traffic[deployment.targetDeploymentId ?? ""] ?? 0;
  const settleAt = deployment.facts.settleAtMs;
  if (settleAt !== undefined && now.getTime() < settleAt) {
    return { do: "wait", until: new Date(Math.min(settleAt, now.getTime() + 1_000)), patch: { weight } };
  }
  return {
    do: "move",
    to: "rolled_back",
    reason: deployment.reason ?? "Rolled back.",
    ...(deployment.hint === null ? {} : { hint: deployment.hint }),
    patch: { weight },
  };
}

function overdue(deployment: Deployment): Step {
  const { state } = deployment;
  const last = deployment.facts.attempts?.error;
  const reason = `It did not get through "${state}" in time${last ? `; last error: ${last}` : ""}.`;
  switch (state) {
    case "shifting":
      return takeBack(deployment, reason, {});
    case "rolling_back":
      return failed(`Its traffic could not be taken back in time${last ? `: ${last}` : ""}.`, {
        hint: "It may still have traffic: see that the target can be reached, then roll back again.",
      });
    case "building":
      return failed(reason, {
        hint: "Look at the end of the build log for what it waits for.",
        patch: { cleanup: "cancel_build" },
      });
    case "verifying":
    case "awaiting_approval":
    case "migrating":
    case "releasing":
      return failed(reason, { hint: "Deploy again.", patch: { cleanup: "retire" } });
    default:
      return failed(reason, { hint: "See that the target can be reached, then deploy again." });
  }
}

function failed(reason: string, more: { hint: string; patch?: Patch }): Step {
  return { do: "move", to: "failed", reason, hint: more.hint, ...(more.patch ? { patch: more.patch } : {}) };
}

function after(now: Date, ms: number): Date {
  return new Date(now.getTime() + ms);
}
