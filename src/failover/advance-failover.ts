import { audit, systemActor } from "../access/index.ts";
import { messageOf } from "../foundation/errors.ts";
import { decideSwitch, type SwitchDecision } from "./decide-switch.ts";
import type { FailoverDeps } from "./deps.ts";
import { fold } from "./health.ts";
import type { Lease } from "./lease.ts";
import { lookAtPrimary } from "./look.ts";
import { performSwitch } from "./perform-switch.ts";
import type { FailoverPlace } from "./place.ts";
import {
  type PlaceChange,
  readLive,
  readPlace,
  readStandby,
  switchesSince,
  writeEvent,
  writePlace,
} from "./queries.ts";
import { readHostname } from "./read-hostname.ts";
import { activate, deactivate } from "./serve-standby.ts";
import { isReady, type Standby } from "./standby.ts";
import type { Switch } from "./tables.ts";
import { judge } from "./verdict.ts";

const REST_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
/** Where the hostname points is read so often while nothing moves: somebody may have moved it outside. */
const READ_EVERY_MS = 60_000;

const ACTOR = systemActor("failover");

/**
 * One look at a place: a switch that is under way is gone on with; else the primary is looked at, and a switch begun
 * when it is time. @returns how long to wait before the next look.
 */
export async function advanceFailover(
  deps: FailoverDeps,
  lease: Lease,
  signal: AbortSignal,
): Promise<number> {
  const place = await readPlace(deps.db, lease);
  if (!place) return REST_MS;
  if (place.switch) return performSwitch(deps, lease, { ...place, switch: place.switch }, signal);
  if (!place.asked && place.serving === "primary") return REST_MS;
  return watch(deps, lease, place, signal);
}

async function watch(
  deps: FailoverDeps,
  lease: Lease,
  place: FailoverPlace,
  signal: AbortSignal,
): Promise<number> {
  const { intervalMs } = place.policy.probe;
  const [standby, live] = await Promise.all([readStandby(deps.db, lease), readLive(deps.db, place.liveId)]);
  const seen = await lookAtPrimary(deps, place, live, standby, signal);
  const now = deps.clock.now();
  const at = { nowMs: now.getTime(), intervalMs, indicator: seen.indicator };
  const health = fold(place.health, judge(seen), at);
  const found = await lookForMove(deps, place, standby, signal);
  if (found.moved) {
    await commit(deps, lease, place, { health, ...found.change }, found.moved);
    return intervalMs;
  }
  const since = new Date(now.getTime() - DAY_MS);
  const switchesMs = (await switchesSince(deps.db, lease, since)).map((date) => date.getTime());
  const standbyReady = isReady(standby, place.liveId, { now, intervalMs });
  const decision = decideSwitch({ ...place, health, standbyReady, switchesMs, nowMs: now.getTime() });
  await commit(deps, lease, place, { health, ...found.change }, decision);
  return decision.do === "switch" ? 0 : intervalMs;
}

type Move = { readonly do: "moved"; readonly to: FailoverPlace["serving"]; readonly why: string };

/** What is read is what is true: a hostname that somebody moved by hand is served where they moved it. */
async function lookForMove(
  deps: FailoverDeps,
  place: FailoverPlace,
  standby: Standby | null,
  signal: AbortSignal,
): Promise<{ readonly change: PlaceChange; readonly moved: Move | null }> {
  const now = deps.clock.now();
  const due = place.readAt === null || now.getTime() - place.readAt.getTime() >= READ_EVERY_MS;
  if (!due || place.policy.switch === null) return { change: {}, moved: null };
  // Who cannot be asked changes nothing; the switch itself asks again.
  const reading = await readHostname(deps, place, standby, signal).catch(() => null);
  signal.throwIfAborted();
  if (reading === null) return { change: {}, moved: null };
  if (reading.side === "elsewhere")
    return { change: { readAt: now, elsewhere: reading.detail }, moved: null };
  const change = { readAt: now, elsewhere: null };
  if (reading.side === place.serving) return { change, moved: null };
  // Who moved it by hand has not moved what is scheduled: that runs where visitors are, and at one place only.
  try {
    const shown = standby?.mirrored ?? [];
    await (reading.side === "standby" ? activate(deps, shown, signal) : deactivate(deps, shown, signal));
  } catch (error) {
    signal.throwIfAborted();
    deps.log.warn({ project: place.project, reason: messageOf(error) }, "a move could not be followed yet");
    return { change: {}, moved: null };
  }
  const why = `It was moved outside of Signalbox: it points to ${reading.detail}.`;
  return {
    change: { ...change, serving: reading.side, servingSince: now, switchedBy: "person" },
    moved: { do: "moved", to: reading.side, why },
  };
}

/** Everything of a look in one transaction: a switch is on record, audited, before anything of it happens. */
async function commit(
  deps: FailoverDeps,
  lease: Lease,
  place: FailoverPlace,
  change: PlaceChange,
  outcome: SwitchDecision | Move,
): Promise<void> {
  const at = deps.clock.now();
  const begins = outcome.do === "switch" ? newSwitch(deps, outcome.to, outcome.why, at) : null;
  await deps.db.transaction().execute(async (tx) => {
    const written = await writePlace(tx, lease, place, { ...change, ...(begins ? { switch: begins } : {}) });
    if (!written || outcome.do === "stay") return;
    const { projectId, environment } = place;
    const reason = outcome.why;
    const kind = outcome.do === "switch" ? "switching" : "moved";
    const switchId = begins?.id ?? null;
    const event = { projectId, environment, at, kind, switchId, side: outcome.to, reason } as const;
    await writeEvent(tx, { ...event, actor: ACTOR.name, leaseToken: lease.token });
    const details = { environment, to: outcome.to, reason, switchId };
    const action = outcome.do === "switch" ? "failover.switch" : "failover.moved";
    await audit(tx, { actor: ACTOR, action, subject: { type: "project", id: projectId }, details, at });
  });
}

function newSwitch({ ids }: Pick<FailoverDeps, "ids">, to: Switch["to"], reason: string, at: Date): Switch {
  const startedAt = at.toISOString();
  const rest = { actorName: ACTOR.name, reason, startedAt, force: false, attempts: 0, error: null };
  return { id: ids("fsw"), to, by: "automatic", ...rest };
}
