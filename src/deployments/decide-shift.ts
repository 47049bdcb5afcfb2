import { nextRolloutStep, type RolloutStep } from "../rollouts/index.ts";
import { SLACK_MS, WEEK_MS } from "./deadlines.ts";
import type { Plan } from "./plan-source.ts";
import type { ProbeResult, Unwell } from "./ports.ts";
import type { Observed, Patch, Step } from "./reconcile.ts";
import type { Deployment, Facts, ServiceRelease } from "./record.ts";
import { lowestWeight, movingServices, withTraffic } from "./services.ts";
import { after, takeBack } from "./step.ts";
import { probeFailure } from "./verify.ts";

type Answer = { readonly ok: boolean; readonly detail: string };

/** Moves traffic as the strategy says, service by service in their order, and watches what comes of it. */
export function shift(deployment: Deployment, observed: Observed, now: Date): Step {
  const { plan } = deployment;
  const { rollout } = deployment.facts;
  if (!plan || !rollout || !observed.traffic) return { do: "wait", until: after(now, 200) };
  const services = withTraffic(deployment.services, observed.traffic);
  const seen = { ...deployment, services };
  const step = nextRolloutStep(
    {
      rollout,
      weight: lowestWeight(services),
      probe: allOf(movingServices(seen), observed.probes),
      baselineProbe: allOf(
        movingServices(seen).filter((service) => service.previousUrl !== null),
        observed.baseline,
      ),
      publicAnswer: publicAnswer(seen, observed.publicProbes),
      counters: observed.counters,
      queries: observed.queries,
      signals: observed.signals,
      unwell: wentDown(deployment, observed.unwell),
      now,
    },
    plan.strategy,
  );
  const facts: Facts = { ...deployment.facts, ...waited(deployment.facts, step, now), rollout: step.rollout };
  const patch: Patch = { services, weight: lowestWeight(services), facts };
  return act(deployment, step, patch, now);
}

/**
 * What was well when it began to take traffic and is not any more; null: nothing. A data store's outage is no fault of
 * a release: if it bears on the release, the release's own checks say so.
 */
function wentDown({ facts, stateSince }: Deployment, unwell: readonly Unwell[]): string | null {
  const began = facts.shifting?.atMs ?? stateSince.getTime();
  const first = unwell.find((each) => each.of === "service" && each.since.getTime() >= began);
  return first ? `the check ${first.name} went down while it took traffic: ${first.message}` : null;
}

function act(deployment: Deployment, step: RolloutStep, patch: Patch, now: Date): Step {
  const services = patch.services ?? deployment.services;
  switch (step.do) {
    case "shift": {
      const isBehind = ({ weight, opened }: ServiceRelease) =>
        step.weight === 0 ? !opened : weight < step.weight;
      const behind = movingServices({ services }).filter(isBehind);
      const [next] = behind;
      if (!next) return { do: "wait", until: after(now, 200), patch };
      // A weight of 0 cannot be seen: the rollout is told that it was given only with the last service.
      const told = step.weight > 0 || behind.length === 1 ? patch : { ...patch, facts: deployment.facts };
      // With nobody before it there is nothing to split with: what needs it finds it whole.
      const weight = next.previousTargetId === null ? 100 : step.weight;
      return { do: "shift", service: next.name, weight, patch: told };
    }
    case "finish":
      return { do: "move", to: "live", reason: liveReason(step.rollout.notes), patch };
    case "abort":
      return takeBack(deployment, step.reason, patch);
    case "paused":
      if (now.getTime() - (step.rollout.paused?.sinceMs ?? now.getTime()) > WEEK_MS) {
        return takeBack(deployment, "It was paused for 7 days, and nobody decided", patch, "timeout");
      }
      return { do: "wait", until: after(now, lookMs(services)), patch: keptOpen(deployment, patch, now) };
    default: {
      const nextLook = after(now, lookMs(services));
      const until = step.until > now && step.until < nextLook ? step.until : nextLook;
      const isManual = step.rollout.stages[step.rollout.index]?.bakeMs === null;
      return { do: "wait", until, patch: isManual ? keptOpen(deployment, patch, now) : patch };
    }
  }
}

function lookMs(services: readonly ServiceRelease[]): number {
  return Math.min(5_000, ...services.map((service) => service.health.intervalMs));
}

/** Waiting for a person stops the deadline: it is moved along, in strides, so that not every look is a write. */
function keptOpen({ deadlineAt }: Deployment, patch: Patch, now: Date): Patch {
  if (deadlineAt !== null && deadlineAt.getTime() - now.getTime() > SLACK_MS) return patch;
  return { ...patch, deadlineAt: after(now, 12 * SLACK_MS) };
}

/** Counts the time that the rollout is paused, or waits at a stage that only a person ends. */
function waited(facts: Facts, step: RolloutStep, now: Date): Pick<Facts, "pausedAtMs" | "waitedMs"> {
  const stage = step.rollout.stages[step.rollout.index];
  const waits = step.do === "paused" || (step.do === "bake" && stage?.bakeMs === null);
  if (waits) return { pausedAtMs: facts.pausedAtMs ?? now.getTime() };
  if (facts.pausedAtMs === undefined) return {};
  const waitedMs = (facts.waitedMs ?? 0) + now.getTime() - facts.pausedAtMs;
  return { pausedAtMs: undefined, waitedMs };
}

/** One answer for several services: good when all are; null when one was not looked at, or there is none. */
export function allOf(
  services: readonly ServiceRelease[],
  probes: Readonly<Record<string, readonly ProbeResult[]>>,
): Answer | null {
  if (services.length === 0) return null;
  for (const service of services) {
    const results = probes[service.name];
    // Whoever stands before the releases is away: that is no verdict on any of them.
    if (!results || results.some(saysNothing)) return null;
    const failure = probeFailure(results, service.health);
    if (failure !== null)
      return { ok: false, detail: services.length > 1 ? `${service.name}: ${failure}` : failure };
  }
  return { ok: true, detail: "" };
}

/** Nobody answered, or not the release: a log-in before it, or the platform that has switched it off. */
function saysNothing(result: ProbeResult): boolean {
  return result.unreachable === true || result.protected === true || result.paused === true;
}

/** Whether the public hosts' answers prove that these releases serve them. */
function publicAnswer(
  { services, plan }: Deployment,
  probes: Readonly<Record<string, ProbeResult>> | null,
): Answer | null {
  if (!probes) return null;
  for (const service of services) {
    if (service.urls.length === 0) continue;
    const probe = probes[service.name];
    if (!probe || probe.unreachable || probe.paused) return null;
    // Visitors log in first there, so who serves is only known from the target.
    if (probe.protected) continue;
    const host = service.urls[0] ?? "the public host";
    const failure = probeFailure([probe], service.health);
    // A service that keeps its release is not this deployment's doing.
    if (failure !== null && !service.unchanged) return { ok: false, detail: `${host}: ${failure}` };
    const from = probe.deploymentHeader;
    if (from === undefined || from === service.targetDeploymentId) continue;
    // Pointers take a moment to be everywhere: the one before it still answering is no fault of this one.
    if (from === service.previousTargetId && !service.unchanged) return null;
    // Failover may have moved it to another place, whose releases are not known here; the target tells who serves.
    if (isFailoverHostname(host, plan)) continue;
    return { ok: false, detail: `${host} was answered by ${from}` };
  }
  return { ok: true, detail: "" };
}

function isFailoverHostname(url: string, plan: Plan | null): boolean {
  const hostname = plan?.failover?.hostname ?? null;
  return hostname !== null && URL.parse(url)?.hostname === hostname;
}

function liveReason(notes: readonly string[]): string {
  return ["All traffic is on it.", ...notes.map((note) => `${note}.`)].join(" ");
}
