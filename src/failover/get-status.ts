import { type Actor, requireRole } from "../access/index.ts";
import { decideSwitch } from "./decide-switch.ts";
import type { FailoverDeps } from "./deps.ts";
import { findPlace } from "./find-place.ts";
import type { FailoverPlace } from "./place.ts";
import { readEvents, readPlace, readStandby, switchesSince } from "./queries.ts";
import { isReady, type Standby, stateOf } from "./standby.ts";

const DAY_MS = 24 * 3_600_000;
const EVENTS_SHOWN = 20;

type Deps = Pick<FailoverDeps, "db" | "clock" | "standby">;

/** Everything that there is to know of a project's failover. @throws AppError `not_found`. */
export async function getStatus(deps: Deps, actor: Actor, project: string) {
  requireRole(actor, "viewer");
  return viewPlace(deps, await findPlace(deps.db, project));
}

/** Every failover that there is, by project. */
export async function listStatus(deps: Deps, actor: Actor) {
  requireRole(actor, "viewer");
  const rows = await deps.db.selectFrom("failovers").select(["project_id", "environment"]).execute();
  const places = await Promise.all(
    rows.map((row) => readPlace(deps.db, { projectId: row.project_id, environment: row.environment })),
  );
  const found = places.filter((place) => place !== null).sort((a, b) => (a.project < b.project ? -1 : 1));
  return Promise.all(found.map((place) => viewPlace(deps, place)));
}

async function viewPlace(deps: Deps, place: FailoverPlace) {
  const now = deps.clock.now();
  const since = new Date(now.getTime() - DAY_MS);
  const [standby, events, switches] = await Promise.all([
    readStandby(deps.db, place),
    readEvents(deps.db, place, EVENTS_SHOWN),
    switchesSince(deps.db, place, since),
  ]);
  const shown = viewStandby(deps, place, standby);
  const switchesMs = switches.map((at) => at.getTime());
  const standbyReady = isReady(standby, place.liveId, { now, intervalMs: place.policy.probe.intervalMs });
  const decision = decideSwitch({ ...place, standbyReady, switchesMs, nowMs: now.getTime() });
  const { health, policy } = place;
  return {
    project: place.project,
    environment: place.environment,
    asked: place.asked,
    hostname: policy.hostname,
    serving: place.serving,
    servingSince: place.servingSince.toISOString(),
    switchedBy: place.switchedBy,
    elsewhere: place.elsewhere,
    automatic: {
      configured: policy.automatic,
      on: policy.automatic && place.automatic && place.asked,
      heldBack: decision.do === "stay" && decision.held ? decision.why : null,
    },
    primary: {
      verdict: health.verdict,
      reason: health.reason,
      since: health.sinceMs === 0 ? null : new Date(health.sinceMs).toISOString(),
      checkedAt: health.checkedAtMs === 0 ? null : new Date(health.checkedAtMs).toISOString(),
      statusPage: health.indicator,
    },
    standby: shown,
    switch: place.switch,
    switchesToday: switches.length,
    maxPerDay: policy.maxPerDay,
    events: events.map(({ at, leaseToken: _, ...event }) => ({ ...event, at: at.toISOString() })),
  };
}

function viewStandby(deps: Deps, place: FailoverPlace, standby: Standby | null) {
  const { state, reason } = stateOf(standby, place.liveId);
  const main = standby?.mirrored.at(-1);
  return {
    state,
    reason,
    deploymentId: place.liveId,
    mirrors: standby?.mirroredId ?? null,
    mirroredAt: standby?.mirroredAt?.toISOString() ?? null,
    answeringSince: standby?.answeringSince?.toISOString() ?? null,
    checkedAt: standby?.checkedAt?.toISOString() ?? null,
    url: main ? deps.standby.publicUrl(deps.standby.standbyHost(main.targetProject)) : null,
    missingVariables: [...(standby?.missingVariables ?? [])],
    warning: standby?.warning ?? null,
  };
}
