import { allOf } from "./decide-shift.ts";
import type { Observed, Patch, Step } from "./reconcile.ts";
import type { Deployment, RollbackFacts, ServiceRelease } from "./record.ts";
import { lowestWeight, withTraffic } from "./services.ts";
import { after, failed } from "./step.ts";

/** How long a release that traffic is to go back to may take to answer. Afterwards it goes there all the same. */
const CAPACITY_WAIT_MS = 30_000;
const LOOK_MS = 500;

/** The services whose traffic goes back, last one first: what came last is undone first. */
export function returning({ services }: Pick<Deployment, "services">): ServiceRelease[] {
  return services
    .filter(({ rollbackToTargetId, targetDeploymentId }) => {
      return rollbackToTargetId !== null && rollbackToTargetId !== targetDeploymentId;
    })
    .reverse();
}

/** Everything back: first a look whether the former releases are up, then all services, then the end. */
export function rollBack(deployment: Deployment, observed: Observed, now: Date): Step {
  const back = returning(deployment);
  if (deployment.facts.schema?.held) return { do: "unhold" };
  if (back.length === 0 && deployment.rollbackToId === null) {
    return failed("There is no release to go back to.", {
      hint: "Deploy a corrected commit.",
      outcome: "error",
    });
  }
  if (!observed.traffic) return { do: "wait", until: after(now, 200) };
  const services = withTraffic(deployment.services, observed.traffic);
  const weights: Patch = { services, weight: lowestWeight(services) };
  const away = back.filter((each) => trafficOf(observed, each) !== 100);
  if (away.length > 0) return bringBack(deployment, observed, away, weights, now);
  const settleAt = deployment.facts.settleAtMs;
  if (settleAt !== undefined && now.getTime() < settleAt) {
    return { do: "wait", until: new Date(Math.min(settleAt, now.getTime() + 1_000)), patch: weights };
  }
  return {
    do: "move",
    to: "rolled_back",
    reason: deployment.reason ?? "Rolled back.",
    ...(deployment.hint === null ? {} : { hint: deployment.hint }),
    patch: { ...weights, ...(deployment.outcome === null ? {} : { outcome: deployment.outcome }) },
  };
}

function bringBack(
  deployment: Deployment,
  observed: Observed,
  away: readonly ServiceRelease[],
  weights: Patch,
  now: Date,
): Step {
  const before = deployment.facts.rollback ?? startedNow(now);
  const rollback = before.ready ? before : { ...before, ready: isReady(before, away, observed, now) };
  const facts = { ...deployment.facts, rollback };
  if (!rollback.ready) return { do: "wait", until: after(now, LOOK_MS), patch: { ...weights, facts } };
  // Written first: a release that was seen to answer is not asked again after a crash.
  if (!before.ready) return { do: "wait", until: now, patch: { ...weights, facts } };
  const step = rollback.steps[rollback.index];
  const [next] = away;
  if (!step) return next?.rollbackToTargetId ? restore(next, next.rollbackToTargetId) : { do: "rest" };
  const behind = away.find((each) => trafficOf(observed, each) < step.weight);
  if (behind?.rollbackToTargetId) {
    const { name, rollbackToTargetId: to } = behind;
    return { do: "return_traffic", service: name, to, weight: step.weight };
  }
  const reachedAtMs = rollback.reachedAtMs ?? now.getTime();
  const over = now.getTime() - reachedAtMs >= step.bakeMs;
  const next_ = over
    ? { ...rollback, index: rollback.index + 1, reachedAtMs: null }
    : { ...rollback, reachedAtMs };
  const until = over ? now : new Date(Math.min(reachedAtMs + step.bakeMs, now.getTime() + 5_000));
  return { do: "wait", until, patch: { ...weights, facts: { ...facts, rollback: next_ } } };
}

function restore(service: ServiceRelease, to: string): Step {
  return { do: "restore_traffic", service: service.name, to };
}

export function startedNow(now: Date): RollbackFacts {
  return { askedAtMs: now.getTime(), ready: false, steps: [], index: 0, reachedAtMs: null };
}

function isReady(
  { askedAtMs }: RollbackFacts,
  away: readonly ServiceRelease[],
  observed: Observed,
  now: Date,
): boolean {
  const known = away.filter((each) => each.rollbackToUrl !== null);
  // Without an address nobody can be asked: the target starts what is not running before it moves anything.
  if (known.length === 0) return true;
  if (allOf(known, observed.baseline)?.ok) return true;
  return now.getTime() - askedAtMs >= CAPACITY_WAIT_MS;
}

function trafficOf({ traffic }: Observed, { name, rollbackToTargetId }: ServiceRelease): number {
  return traffic?.[name]?.[rollbackToTargetId ?? ""] ?? 0;
}
