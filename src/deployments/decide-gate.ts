import { type GateVerdict, gateDigest, judgeGate } from "../gates/index.ts";
import { planRollout } from "../rollouts/index.ts";
import type { Observed, Patch, Step } from "./reconcile.ts";
import type { Deployment, SchemaFacts } from "./record.ts";
import { mainRelease, movingServices } from "./services.ts";
import { after } from "./step.ts";

/** A queued deployment is woken when its turn comes; this is for the wake-up that gets lost. */
const QUEUE_LOOK_MS = 30_000;
/** An approval wakes the deployment; the same again. */
const GATE_LOOK_MS = 30_000;

export function start(deployment: Deployment, { blockedBy, start }: Observed, now: Date): Step {
  if (blockedBy !== null) return { do: "wait", until: after(now, QUEUE_LOOK_MS) };
  if (start && start.is !== "open") {
    const until = start.is === "waits" && start.until !== null ? start.until : after(now, QUEUE_LOOK_MS);
    const facts = { ...deployment.facts, waitsFor: start.reason };
    return { do: "wait", until: until > now ? until : after(now, 1_000), patch: { facts } };
  }
  const facts = { ...deployment.facts, waitsFor: undefined, startedAtMs: now.getTime() };
  return { do: "move", to: "preparing", reason: "Its turn has come.", patch: { facts } };
}

/** What an approval is bound to: another commit, artifact, configuration or policy has another digest. */
export function approvalDigest({ commit, services, plan }: Deployment): string {
  return gateDigest({
    commit: commit.sha,
    services: services.map(({ name, targetDeploymentId, inputs }) => ({ name, targetDeploymentId, inputs })),
    strategy: plan?.strategy ?? null,
    schema: plan?.schema ?? null,
    policy: plan?.gate ?? null,
  });
}

function judgeNow(deployment: Deployment, observed: Observed, now: Date): GateVerdict | null {
  const { plan, facts, actorId, actor, state, stateSince } = deployment;
  if (!plan || !observed.gate) return null;
  const asked = state === "awaiting_approval" ? stateSince : now;
  return judgeGate({
    policy: plan.gate,
    digest: approvalDigest(deployment),
    requestedBy: { id: actorId, name: actor },
    askedAt: facts.askedAtMs === undefined ? asked : new Date(facts.askedAtMs),
    facts: observed.gate,
    now,
  });
}

/** Onward from a state in which all is proven: to whatever the gate asks for, or past it. */
export function gateStep(
  deployment: Deployment,
  observed: Observed,
  now: Date,
  reason: string,
  patch: Patch,
): Step {
  const verdict = judgeNow(deployment, observed, now);
  if (verdict === null) return { do: "wait", until: after(now, 200), patch };
  const facts = { ...deployment.facts, askedAtMs: deployment.facts.askedAtMs ?? now.getTime() };
  if (verdict.is === "open") return onward(deployment, `${reason} ${verdict.because}`, { ...patch, facts });
  return {
    do: "move",
    to: "awaiting_approval",
    reason: `${reason} ${verdict.reason}`,
    patch: { ...patch, facts },
  };
}

function onward({ plan, facts }: Deployment, reason: string, patch: Patch): Step {
  const expands = (plan?.schema?.expand.length ?? 0) > 0 && facts.schema?.expanded !== true;
  return { do: "move", to: expands ? "migrating" : "releasing", reason, patch };
}

export function awaitApproval(deployment: Deployment, observed: Observed, now: Date): Step {
  const verdict = judgeNow(deployment, observed, now);
  if (verdict === null) return { do: "wait", until: after(now, 200) };
  const waitedMs = (deployment.facts.waitedMs ?? 0) + now.getTime() - deployment.stateSince.getTime();
  const patch: Patch = { facts: { ...deployment.facts, waitedMs } };
  switch (verdict.is) {
    case "open":
      return onward(deployment, verdict.because, patch);
    case "rejected":
      return {
        do: "move",
        to: "rejected",
        reason: verdict.reason,
        hint: verdict.hint,
        patch: { ...patch, cleanup: "retire" },
      };
    default: {
      const until = verdict.until !== null && verdict.until > now ? verdict.until : after(now, GATE_LOOK_MS);
      return { do: "wait", until: until < after(now, GATE_LOOK_MS) ? until : after(now, GATE_LOOK_MS) };
    }
  }
}

/** What was open may have closed since: asked again before anything that cannot be taken back. Null: it is open. */
function stillOpen(deployment: Deployment, observed: Observed, now: Date): Step | null {
  const verdict = judgeNow(deployment, observed, now);
  if (verdict === null) return { do: "wait", until: after(now, 200) };
  if (verdict.is === "open") return null;
  return { do: "move", to: "awaiting_approval", reason: `It was held again: ${verdict.reason}` };
}

const NO_SCHEMA: SchemaFacts = { held: false, expanded: false, version: { expand: null, contract: null } };

/** Holds requests if that is asked for, applies `expand`, and lets them go again, whatever came of it. */
export function migrate(deployment: Deployment, observed: Observed, now: Date): Step {
  const schema = deployment.facts.schema ?? NO_SCHEMA;
  if (schema.expanded) {
    if (schema.held) return { do: "unhold" };
    const version = schema.version.expand ?? "what it was";
    return { do: "move", to: "releasing", reason: `The database's schema is at ${version}.` };
  }
  const closed = stillOpen(deployment, observed, now);
  // Requests are not held for as long as people are waited for.
  if (closed) return closed.do === "move" && schema.held ? { do: "unhold" } : closed;
  if (deployment.plan?.schema?.hold && schema.holding !== true) return hold(deployment, schema, now);
  return { do: "migrate", phase: "expand" };
}

/** Written before it is done: whoever ends the deployment meanwhile has to know that requests may be held. */
function hold({ facts }: Deployment, schema: SchemaFacts, now: Date): Step {
  if (schema.held) return { do: "hold" };
  return { do: "wait", until: now, patch: { facts: { ...facts, schema: { ...schema, held: true } } } };
}

/** The last moment before traffic: who serves now is kept as the one to go back to. */
export function release(deployment: Deployment, observed: Observed, now: Date): Step {
  const { plan } = deployment;
  const { traffic } = observed;
  if (!traffic || !plan) return { do: "wait", until: after(now, 200) };
  const closed = stillOpen(deployment, observed, now);
  if (closed) return closed;
  const services = deployment.services.map((service) => {
    const seen = traffic[service.name] ?? {};
    const weight = seen[service.targetDeploymentId ?? ""] ?? 0;
    // What was to keep its release must still have it; else its traffic is moved like the others'.
    const unchanged = service.unchanged && weight === 100;
    const previousTargetId = unchanged ? null : mainRelease(seen, service.targetDeploymentId);
    const previousUrl = previousTargetId === null ? null : (observed.previousUrls[previousTargetId] ?? null);
    return { ...service, unchanged, weight, previousTargetId, previousUrl };
  });
  const before = movingServices({ services }).flatMap(({ previousTargetId }) => previousTargetId ?? []);
  const rollout = planRollout(plan.strategy, before[0] ?? null);
  const shifting = { atMs: now.getTime(), leaseToken: deployment.leaseToken };
  return {
    do: "move",
    to: "shifting",
    reason: before.length > 0 ? `Taking over from ${before.join(", ")}.` : "Nothing serves here yet.",
    patch: { services, facts: { ...deployment.facts, rollout, shifting } },
  };
}
