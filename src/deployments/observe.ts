import { AppError } from "../foundation/errors.ts";
import { type GateFacts, judgeStart } from "../gates/index.ts";
import { analysisDue, analysisOf, type QueryResult } from "../rollouts/index.ts";
import type { Target, TargetDeployment, Traffic } from "../targets/target.ts";
import { returning } from "./decide-rollback.ts";
import type { HealthCheck, HealthPolicy } from "./plan-source.ts";
import type { Metrics, Probe, ProbeResult } from "./ports.ts";
import { NOTHING_OBSERVED, type Observed } from "./reconcile.ts";
import { type Deployment, placeOf, type ServiceRelease } from "./record.ts";
import { movingServices } from "./services.ts";
import type { Store } from "./store.ts";

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
    case "verifying": {
      const [probes, gate] = await Promise.all([
        probeAll(deps, movingServices(deployment), signal),
        deps.readGate(deployment),
      ]);
      return { ...NOTHING_OBSERVED, probes, gate };
    }
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
    probeAll(deps, asked, signal, (service) => service.rollbackToUrl),
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
  const [traffic, probes, baseline, counters, queries, signals] = await Promise.all([
    observeTraffic(deps, deployment, moving, signal),
    probeAll(deps, moving, signal),
    judged ? probeAll(deps, moving, signal, (service) => service.previousUrl) : {},
    judged ? deps.metrics.readCounters(moving.map(countersOf)) : null,
    askQueries(deps, deployment, signal),
    deps.store.signals(deployment),
  ]);
  const whole = moving.every((each) => traffic[each.name]?.[each.targetDeploymentId ?? ""] === 100);
  const publicProbes = whole ? await probePublic(deps, deployment.services, signal) : null;
  return { ...NOTHING_OBSERVED, traffic, probes, baseline, publicProbes, counters, queries, signals };
}

function countersOf({ name, targetDeploymentId, previousTargetId }: ServiceRelease) {
  return { service: name, canary: targetDeploymentId, baseline: previousTargetId };
}

/** Null: no judgement is due, so nobody need be asked. */
async function askQueries(
  { metrics, clock }: ObserveDeps,
  { plan, facts }: Deployment,
  signal: AbortSignal,
): Promise<readonly QueryResult[] | null> {
  const judged = plan ? analysisOf(plan.strategy) : null;
  if (!plan || !judged || !facts.rollout || judged.queries.length === 0) return null;
  if (!analysisDue(facts.rollout, plan.strategy, clock.now())) return null;
  return Promise.all(judged.queries.map((query) => metrics.query(query, signal)));
}

/** Each service on an address past all routing: its own, or that which `address` gives. */
async function probeAll(
  { probe }: ObserveDeps,
  services: readonly ServiceRelease[],
  signal: AbortSignal,
  address: (service: ServiceRelease) => string | null = (service) => service.url,
): Promise<ByService<readonly ProbeResult[]>> {
  const known = services.filter((service) => address(service) !== null);
  const results = await Promise.all(
    known.map((service) => {
      const base = address(service) ?? "";
      return Promise.all(
        service.health.checks.map((check) => probe(request(base, check, service.health), signal)),
      );
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
