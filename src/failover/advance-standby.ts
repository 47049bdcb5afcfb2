import type { HealthPolicy } from "../deployments/index.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import { buildStandby } from "./build-standby.ts";
import type { FailoverDeps } from "./deps.ts";
import type { Lease } from "./lease.ts";
import type { FailoverPlace } from "./place.ts";
import { probeReleases } from "./probe-releases.ts";
import {
  type LiveDeployment,
  readLive,
  readPlace,
  readStandby,
  writeEvent,
  writeStandby,
} from "./queries.ts";
import { serveStandby } from "./serve-standby.ts";
import { afterCheck, again, begun, nextStep, pauseMs, type Standby, stateOf } from "./standby.ts";

/** A place whose configuration asks for no standby is looked at now and then all the same: it may ask again. */
const REST_MS = 60_000;

/**
 * One step towards a standby that mirrors what is live at the primary: begin, build, look, show, check. Everything is
 * derived from the row, and each side effect is idempotent, so any process may die at any await.
 * @returns how long to wait before the next step.
 */
export async function advanceStandby(deps: FailoverDeps, lease: Lease, signal: AbortSignal): Promise<number> {
  const [place, standby] = await Promise.all([readPlace(deps.db, lease), readStandby(deps.db, lease)]);
  if (!place?.asked || !standby) return REST_MS;
  const live = await readLive(deps.db, place.liveId);
  const after = await step(deps, { place, standby, live }, signal);
  await commit(deps, lease, place, standby, after);
  return pauseMs(after, place.liveId, place.policy.probe.intervalMs);
}

type Looked = { readonly place: FailoverPlace; readonly standby: Standby; readonly live: LiveDeployment };

async function step(deps: FailoverDeps, looked: Looked, signal: AbortSignal): Promise<Standby> {
  const { standby, live } = looked;
  try {
    switch (nextStep(standby, live.id).do) {
      case "begin":
        await forgetBuilds(deps, standby, signal);
        return begun(standby, live.id);
      case "build":
        return await buildStandby(deps, standby, live, signal);
      case "look":
        return await look(deps, looked, signal);
      case "check":
        return await check(deps, looked, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    return { ...standby, attempts: standby.attempts + 1, error: reasonOf(deps, live.id, error) };
  }
}

/** Nobody waits for them any more, and the newer ones should not have to wait for them. */
async function forgetBuilds(deps: FailoverDeps, standby: Standby, signal: AbortSignal): Promise<void> {
  for (const { targetDeploymentId, url } of standby.releases) {
    // Those that are built are done; whether the dock knows the others is its business.
    if (url === null) await deps.standby.cancel(targetDeploymentId, signal).catch(() => {});
  }
}

/** What the builds have come to. All built and answering: their hosts show them. */
async function look(deps: FailoverDeps, looked: Looked, signal: AbortSignal): Promise<Standby> {
  const { standby, live, place } = looked;
  const now = deps.clock.now();
  const seen = await Promise.all(
    standby.releases.map(({ targetDeploymentId }) => observe(deps, targetDeploymentId, signal)),
  );
  const lost = seen.find((each) => each === "gone" || each.state === "error" || each.state === "canceled");
  if (lost) return again(standby, lost === "gone" ? "The dock lost its build." : buildFailure(lost.error));
  const releases = standby.releases.map((release, index) => {
    const one = seen[index];
    return one && one !== "gone" && one.state === "ready" ? { ...release, url: one.url } : release;
  });
  const built = { ...standby, releases };
  if (releases.some(({ url }) => url === null)) return built;
  const failure = await probeReleases(deps, releases, healthOf(live), signal);
  // Told as an error, with the pauses of one: a server that is still starting is asked again in two seconds.
  if (failure !== null)
    return { ...built, attempts: built.attempts + 1, error: `It does not answer: ${failure}.` };
  await serveStandby(deps, place, releases, signal);
  const mirrored = { mirroredId: live.id, mirrored: releases, mirroredAt: now };
  return afterCheck({ ...built, ...mirrored, answeringSince: now }, null, now);
}

/** One that no longer answers because the dock has lost it is built anew. */
async function check(deps: FailoverDeps, { standby, live }: Looked, signal: AbortSignal): Promise<Standby> {
  const failure = await probeReleases(deps, standby.mirrored, healthOf(live), signal);
  const checked = afterCheck(standby, failure, deps.clock.now());
  if (checked.answeringSince !== null) return checked;
  if (!(await isLost(deps, standby, signal))) return checked;
  return {
    ...again(checked, "The dock lost its release."),
    mirroredId: null,
    mirrored: [],
    mirroredAt: null,
  };
}

/** A dock that does not answer has lost nothing that we know of; that the standby does not answer stands. */
async function isLost(deps: FailoverDeps, { mirrored }: Standby, signal: AbortSignal): Promise<boolean> {
  const looks = mirrored.map(({ targetDeploymentId }) => observe(deps, targetDeploymentId, signal));
  const seen = await Promise.allSettled(looks);
  signal.throwIfAborted();
  return seen.some((look) => look.status === "fulfilled" && look.value === "gone");
}

async function observe({ standby }: FailoverDeps, id: string, signal: AbortSignal) {
  try {
    return await standby.observe(id, signal);
  } catch (error) {
    if (error instanceof AppError && error.code === "not_found") return "gone";
    throw error;
  }
}

/** The health that the live deployment was proven by. */
export function healthOf(live: LiveDeployment): (service: string) => HealthPolicy | null {
  return (service) => live.services.find(({ name }) => name === service)?.health ?? null;
}

function buildFailure(error: { readonly code: string; readonly message: string } | null): string {
  return error === null ? "Its build was canceled." : `Its build failed: ${error.message} (${error.code})`;
}

function reasonOf(deps: FailoverDeps, deployment: string, error: unknown): string {
  deps.log.warn({ deployment, reason: messageOf(error) }, "a standby could not be made; trying again");
  if (!(error instanceof AppError)) return "Something went wrong inside Signalbox; its log says what.";
  return error.hint === undefined ? messageOf(error) : `${messageOf(error)} ${error.hint}`;
}

/** Writes the step, and the event when it made the standby ready or took that from it. */
async function commit(
  deps: FailoverDeps,
  lease: Lease,
  { liveId, projectId, environment }: FailoverPlace,
  before: Standby,
  after: Standby,
): Promise<void> {
  if (after === before) return;
  const [was, is] = [stateOf(before, before.deploymentId), stateOf(after, liveId)];
  await deps.db.transaction().execute(async (tx) => {
    if (!(await writeStandby(tx, lease, after))) return;
    const turned =
      (is.state === "ready") !== (was.state === "ready") || before.mirroredId !== after.mirroredId;
    const kind = is.state === "ready" ? "standby_ready" : is.state === "failed" ? "standby_failed" : null;
    const again = kind === "standby_failed" && was.state === "failed";
    if (kind === null || again || (kind === "standby_ready" && !turned)) return;
    const event = { projectId, environment, at: deps.clock.now(), kind, leaseToken: lease.token } as const;
    const reason = kind === "standby_ready" ? `It mirrors ${liveId}.` : is.reason;
    await writeEvent(tx, { ...event, switchId: null, side: "standby", reason, actor: "failover" });
  });
}
