import { probeFailure, probeRequest } from "../deployments/index.ts";
import { messageOf } from "../foundation/errors.ts";
import type { CheckVerdict, ListedDeployment, PlatformState } from "../targets/target.ts";
import type { Seen } from "./compare.ts";
import type { OutsideDeps } from "./deps.ts";
import type { Watched } from "./queries.ts";

/** `problem`: what our check could not be told. */
export type Judged = { readonly seen: Seen; readonly problem: string | null };

const REMEMBERED = 200;
/** A deployment that waits for our check has just been built; an older one was decided on without us. */
const NEWEST_MS = 2 * 3_600_000;

/**
 * Our own health gate for production deployments, above all for those that are not ours: each is probed as one of ours
 * is, and the check that holds its domains is told. One good answer is enough; a bad one is asked again at the next
 * looks, until the health policy's own deadline.
 */
export async function judgeOthers(
  deps: OutsideDeps,
  watched: Watched,
  { seen, state }: { readonly seen: Seen; readonly state: PlatformState },
  signal: AbortSignal,
): Promise<Judged> {
  if (!watched.checked) return { seen: { ...seen, judging: {} }, problem: null };
  const nowMs = deps.clock.now().getTime();
  const judged = new Set(seen.judged);
  const judging: Record<string, number> = {};
  let problem: string | null = null;
  for (const each of state.deployments.filter((one) => isHeld(one, judged, nowMs))) {
    const sinceMs = seen.judging[each.id] ?? nowMs;
    const verdict = await judge(deps, watched, each, nowMs - sinceMs, signal);
    const told = verdict.state === "running" && seen.judging[each.id] !== undefined;
    // One that cannot be told is tried again at the next look, and must not hide what else was seen.
    const failure = told ? null : await report(deps, watched, verdict, signal);
    problem = failure ?? problem;
    if (verdict.state === "running" || failure !== null) judging[each.id] = sinceMs;
    else judged.add(each.id);
  }
  return { seen: { ...seen, judging, judged: [...judged].slice(-REMEMBERED) }, problem };
}

async function report(
  { target }: OutsideDeps,
  { place }: Watched,
  verdict: CheckVerdict,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    await target.outside.report(place.targetProjectId, verdict, signal);
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return `Our check of ${verdict.targetDeploymentId} could not be told: ${messageOf(error)}`;
  }
}

function isHeld(each: ListedDeployment, judged: ReadonlySet<string>, nowMs: number): boolean {
  const isNew = nowMs - each.createdAt.getTime() < NEWEST_MS;
  return each.environment === "production" && each.state === "ready" && isNew && !judged.has(each.id);
}

async function judge(
  deps: OutsideDeps,
  { place, health, project }: Watched,
  { id, url }: ListedDeployment,
  elapsedMs: number,
  signal: AbortSignal,
): Promise<CheckVerdict> {
  const headers = await deps.target.probeHeaders(place, signal);
  const probes = await Promise.all(
    health.checks.map((check) => deps.probe({ ...probeRequest(url, check, health), headers }, signal)),
  );
  const failure = probeFailure(probes, health);
  const detailsUrl =
    deps.publicUrl && `${deps.publicUrl}/api/projects/${encodeURIComponent(project)}/outside`;
  const base = { targetDeploymentId: id, detailsUrl };
  if (failure === null) return { ...base, state: "succeeded", text: "Healthy." };
  const text = `Not healthy: ${failure}.`;
  return { ...base, state: elapsedMs < health.graceMs + health.deadlineMs ? "running" : "failed", text };
}
