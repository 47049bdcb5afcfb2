import { AppError } from "../foundation/errors.ts";
import { type GateFacts, judgeStart } from "../gates/index.ts";
import { analysisDue, analysisOf, type QueryResult } from "../rollouts/index.ts";
import type { Target, TargetDeployment, Traffic } from "../targets/target.ts";
import { returning } from "./decide-rollback.ts";
import type { HealthCheck, HealthPolicy } from "./plan-source.ts";
import type { Metrics, Probe, ProbeResult, ReadUnwell } from "./ports.ts";
import { NOTHING_OBSERVED, type Observed } from "./reconcile.ts";
import { type Deployment, placeOf, type ServiceRelease } from "./record.ts";
import { movingServices } from "./services.ts";
import type { Store } from "./store.ts";
import { probeFailure } from "./verify.ts";

/** Port: what people have said that bears on a deployment: approvals, locks, freezes, break-glass. */
export type ReadGate = (
  deployment: Pick<Deployment, "id" | "projectId" | "environment">,
) => Promise<GateFacts>;

export type ObserveDeps = {
  readonly store: Pick<Store, "blockedBy" | "liveBeside" | "signals">;
  readonly target: Target;
  readonly probe: Probe;
  readonly metrics: Metrics;
  readonly readGate: ReadGate;
  readonly readUnwell: ReadUnwell;
  readonly clock: { now(): Date };
};

type ByService<T> = Readonly<Record<string, T>>;

/** Looks at what the deployment's state calls for, and at nothing else. Throws what the ports throw. */
export async function observe(
  deps: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Observed> {
  switch (deployment.state) {
    case "queued":
      return observeQueued(deps, deployment);
    case "building":
      return { ...NOTHING_OBSERVED, builds: await observeBuilds(deps, deployment, signal) };
    case "verifying":
      return observeHealth(deps, deployment, signal);
    case "awaiting_approval":
    case "migrating":
      return { ...NOTHING_OBSERVED, gate: await deps.readGate(deployment) };
    case "releasing":
      return observeRelease(deps, deployment, signal);
    case "rolling_back":
      return observeRollback(deps, deployment, signal);
    case "shifting":
      return observeShift(deps, deployment, signal);
    case "live":
      return { ...NOTHING_OBSERVED, inFlightBefore: await observeDrain(deps, deployment) };
    default:
      return NOTHING_OBSERVED;
  }
}

async function observeHealth(
  deps: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Observed> {
  const moving = movingServices(deployment);
  const [probes, gate] = await Promise.all([
    probeAll(deps, deployment, moving, signal),
    deps.readGate(deployment),
  ]);
  const isUnwell = ({ name, health }: ServiceRelease) => probeFailure(probes[name] ?? [], health) !== null;
  if (moving.some(isUnwell)) await requireTarget(deps, signal);
  return { ...NOTHING_OBSERVED, probes, gate };
}

/**
 * Who judges a release that does not answer must know that it is not the platform which is away.
 * @throws AppError `unavailable` when it is. What else is wrong there is no matter of this look.
 */
async function requireTarget({ target }: ObserveDeps, signal: AbortSignal): Promise<void> {
  try {
    await target.ping(signal);
  } catch (error) {
    if (error instanceof AppError && error.code === "unavailable") throw error;
  }
}

/** Only when a contract is due, since it must not take away what a request of the former release still needs. */
async function observeDrain(
  { metrics, clock }: ObserveDeps,
  { contractAt, cleanup, services }: Deployment,
): Promise<number | null> {
  if (contractAt === null || cleanup !== null || clock.now() < contractAt) return null;
  return metrics.readInFlight(services.flatMap(({ previousTargetId }) => previousTargetId ?? []));
}

async function observeQueued(deps: ObserveDeps, deployment: Deployment): Promise<Observed> {
  const blockedBy = await deps.store.blockedBy(deployment);
  if (blockedBy !== null) return { ...NOTHING_OBSERVED, blockedBy };
  const facts = await deps.readGate(deployment);
  return { ...NOTHING_OBSERVED, start: judgeStart({ facts, now: deps.clock.now() }) };
}

async function observeBuilds(
  { target }: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<ByService<TargetDeployment | "gone">> {
  const open = movingServices(deployment).filter((each) => each.targetDeploymentId !== null && !each.built);
  const seen = await Promise.all(
    open.map((each) => observeBuild(target, each.targetDeploymentId ?? "", signal)),
  );
  return byService(open, seen);
}

async function observeBuild(
  target: Target,
  id: string,
  signal: AbortSignal,
): Promise<TargetDeployment | "gone"> {
  try {
    return await target.observe(id, signal);
  } catch (error) {
    if (error instanceof AppError && error.code === "not_found") return "gone";
    throw error;
  }
}

async function observeTraffic(
  { target }: ObserveDeps,
  deployment: Deployment,
  services: readonly ServiceRelease[],
  signal: AbortSignal,
): Promise<ByService<Traffic>> {
  const seen = await Promise.all(services.map((each) => target.traffic(placeOf(deployment, each), signal)));
  return byService(services, seen);
}

async function observeRelease(
  deps: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Observed> {
  const [traffic, gate, live] = await Promise.all([
    observeTraffic(deps, deployment, deployment.services, signal),
    deps.readGate(deployment),
    deps.store.liveBeside(deployment),
  ]);
  const urls = (live?.services ?? []).flatMap(({ targetDeploymentId, url }) =>
    targetDeploymentId && url ? [[targetDeploymentId, url] as const] : [],
  );
  return { ...NOTHING_OBSERVED, traffic, gate, previousUrls: Object.fromEntries(urls) };
}

async function observeRollback(
  deps: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Observed> {
  const back = returning(deployment);
  const asked = deployment.facts.rollback?.ready ? [] : back;
  const [traffic, baseline] = await Promise.all([
    observeTraffic(deps, deployment, back, signal),
    probeAll(deps, deployment, asked, signal, (service) => service.rollbackToUrl),
  ]);
  return { ...NOTHING_OBSERVED, traffic, baseline };
}

async function observeShift(
  deps: ObserveDeps,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<Observed> {
  const moving = movingServices(deployment);
  const judged = deployment.plan ? analysisOf(deployment.plan.strategy) : null;
  const [traffic, probes, baseline, counters, queries, signals, unwell] = await Promise.all([
    observeTraffic(deps, deployment, moving, signal),
    probeAll(deps, deployment, moving, signal),
    judged ? probeAll(deps, deployment, moving, signal, (service) => service.previousUrl) : {},
    judged ? deps.metrics.readCounters(moving.map(countersOf)) : null,
    askQueries(deps, deployment, signal),
    deps.store.signals(deployment),
    deps.readUnwell(deployment),
  ]);
  const whole = moving.every((each) => traffic[each.name]?.[each.targetDeploymentId ?? ""] === 100);
  const [publicProbes, atCanary] = await Promise.all([
    whole ? probePublic(deps, deployment.services, signal) : null,
    whole ? {} : probeCanaries(deps, moving, traffic, signal),
  ]);
  const seen = withCanaries(moving, probes, atCanary);
  const measured = { counters, queries, signals, unwell };
  return { ...NOTHING_OBSERVED, traffic, probes: seen, baseline, publicProbes, ...measured };
}

/**
 * The canary as visitors meet it, at the public host, where the target has a way to ask for it: its own address goes
 * past routing, firewall and domains.
 */
async function probeCanaries(
  { probe, target }: ObserveDeps,
  moving: readonly ServiceRelease[],
  traffic: ByService<Traffic>,
  signal: AbortSignal,
): Promise<ByService<ProbeResult>> {
  const found = await Promise.all(
    moving.map(async ({ name, targetDeploymentId, urls, health }) => {
      const [check] = health.checks;
      const isSplit = traffic[name]?.[targetDeploymentId ?? ""] !== undefined;
      if (!isSplit || check?.type !== "http" || urls[0] === undefined) return [];
      const at = target.canaryAt(request(urls[0], check, health).url);
      if (at === null) return [];
      const result = await probe({ ...request(urls[0], check, health), url: at.url }, signal);
      // Answered by another: the wish was not heard, so it says nothing of the canary.
      const { deploymentHeader: by } = result;
      return by !== undefined && by !== targetDeploymentId ? [] : [[name, result] as const];
    }),
  );
  return Object.fromEntries(found.flat());
}

/** A canary that is well at its own address and not at the public one is not well. */
function withCanaries(
  moving: readonly ServiceRelease[],
  probes: ByService<readonly ProbeResult[]>,
  atCanary: ByService<ProbeResult>,
): ByService<readonly ProbeResult[]> {
  const merged = { ...probes };
  for (const { name, health } of moving) {
    const [first, ...rest] = probes[name] ?? [];
    const canary = atCanary[name];
    const isVerdict = canary && !canary.unreachable && !canary.protected && !canary.paused;
    if (first && isVerdict && probeFailure([first], health) === null) merged[name] = [canary, ...rest];
  }
  return merged;
}

function countersOf({ name, targetDeploymentId, previousTargetId }: ServiceRelease) {
  return { service: name, canary: targetDeploymentId, baseline: previousTargetId };
}

/** Null: no judgement is due, so nobody need be asked. */
async function askQueries(
  { metrics, clock }: ObserveDeps,
  { projectId, plan, facts }: Deployment,
  signal: AbortSignal,
): Promise<readonly QueryResult[] | null> {
  const judged = plan ? analysisOf(plan.strategy) : null;
  if (!plan || !judged || !facts.rollout || judged.queries.length === 0) return null;
  if (!analysisDue(facts.rollout, plan.strategy, clock.now())) return null;
  return Promise.all(judged.queries.map((query) => metrics.query({ ...query, projectId }, signal)));
}

/** Each service on an address past all routing: its own, or that which `address` gives. */
async function probeAll(
  { probe, target }: ObserveDeps,
  deployment: Deployment,
  services: readonly ServiceRelease[],
  signal: AbortSignal,
  address: (service: ServiceRelease) => string | null = (service) => service.url,
): Promise<ByService<readonly ProbeResult[]>> {
  const known = services.filter((service) => address(service) !== null);
  const results = await Promise.all(
    known.map(async (service) => {
      const base = address(service) ?? "";
      const headers = await target.probeHeaders(placeOf(deployment, service), signal);
      const ask = (check: HealthCheck) => probe({ ...request(base, check, service.health), headers }, signal);
      return Promise.all(service.health.checks.map(ask));
    }),
  );
  return byService(known, results);
}

/** The first check of each service at its main public host, where there is one. */
async function probePublic(
  { probe }: ObserveDeps,
  services: readonly ServiceRelease[],
  signal: AbortSignal,
): Promise<ByService<ProbeResult>> {
  const known = services.filter((service) => service.urls.length > 0 && service.health.checks.length > 0);
  const results = await Promise.all(
    known.map(({ urls, health }) => {
      const [check] = health.checks;
      return probe(request(urls[0] ?? "", check ?? { type: "tcp" }, health), signal);
    }),
  );
  return byService(known, results);
}

export function request(base: string, check: HealthCheck, { timeoutMs }: Pick<HealthPolicy, "timeoutMs">) {
  if (check.type === "tcp") return { type: check.type, url: base, timeoutMs };
  const url = new URL(check.path, base).href;
  const contains = check.type === "http" ? check.contains : null;
  return { type: check.type, url, timeoutMs, contains };
}

function byService<T>(services: readonly ServiceRelease[], values: readonly T[]): ByService<T> {
  return Object.fromEntries(services.map(({ name }, index) => [name, values[index] as T]));
}
