import { audit, systemActor } from "../access/index.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import { GuardError, refusalOf } from "../foundation/guarded-connect.ts";
import type { FailoverDeps } from "./deps.ts";
import type { Lease } from "./lease.ts";
import type { FailoverPlace } from "./place.ts";
import { ownerOfHostname, type PlaceChange, readStandby, writeEvent, writePlace } from "./queries.ts";
import { readHostname } from "./read-hostname.ts";
import { activate, deactivate } from "./serve-standby.ts";
import type { Standby } from "./standby.ts";
import type { FailoverEventKind, Switch } from "./tables.ts";

/** About five minutes with the pauses between. Then it is given up, so that nothing happens hours later. */
const MAX_ATTEMPTS = 12;
const LONGEST_PAUSE_MS = 30_000;
/** Of one try, the dock's part included. A lost lease ends it sooner. */
const DEADLINE_MS = 25_000;

type Switching = FailoverPlace & { readonly switch: Switch };

/**
 * Goes on with the switch that is written down, wherever it was left: the other side is made to serve, the hostname is
 * moved, and read back; only then it is done. Every part is idempotent. @returns how long to wait before the next look.
 */
export async function performSwitch(
  deps: FailoverDeps,
  lease: Lease,
  place: Switching,
  signal: AbortSignal,
): Promise<number> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  const standby = await readStandby(deps.db, place);
  try {
    await move(deps, lease, place, standby, limited);
  } catch (error) {
    signal.throwIfAborted();
    return failed(deps, lease, place, standby, error);
  }
  const { to, by } = place.switch;
  const now = deps.clock.now();
  const change = {
    serving: to,
    servingSince: now,
    switchedBy: by,
    switch: null,
    readAt: now,
    elsewhere: null,
  };
  await settle(deps, lease, place, "switched", { ...change });
  return place.policy.probe.intervalMs;
}

async function move(
  deps: FailoverDeps,
  lease: Lease,
  place: Switching,
  standby: Standby | null,
  signal: AbortSignal,
): Promise<void> {
  const { hostname, switch: options } = place.policy;
  const { id, to, reason } = place.switch;
  if (hostname === null || options === null) throw new AppError("unprocessable", "No switch is configured.");
  await requireOwnHostname(deps, place, hostname);
  if (to === "standby") {
    await requireLive(deps, place, standby, signal);
    await activate(deps, mirroredOf(standby), signal);
  }
  const change = { projectId: place.projectId, to, key: id, sequence: lease.token, reason };
  if (options.kind === "cloudflare") {
    await deps.switches.cloudflare.point({ ...change, hostname, options }, signal);
  } else await deps.switches.webhook.point({ ...change, hostname, options }, signal);
  const reading = await readHostname(deps, place, standby, signal);
  if (reading?.side !== to) {
    const found = reading === null ? "nobody can tell where it points" : `it points to ${reading.detail}`;
    throw new AppError("upstream", `${hostname} was moved to the ${to}, and ${found}.`);
  }
  if (to === "primary" && standby) await deactivate(deps, standby.mirrored, signal);
}

/**
 * A switch that was written down may be minutes old, and another release live since: visitors would be sent back to an
 * earlier one. Unless they are there already, or somebody means it.
 */
async function requireLive(
  deps: FailoverDeps,
  place: Switching,
  standby: Standby | null,
  signal: AbortSignal,
): Promise<void> {
  const shown = standby?.mirroredId ?? null;
  if (place.switch.force || shown === null || shown === place.liveId) return;
  const reading = await readHostname(deps, place, standby, signal).catch(() => null);
  if (reading?.side === "standby") return;
  throw new AppError("conflict", `The standby shows ${shown}, and ${place.liveId} is live.`);
}

function mirroredOf(standby: Standby | null): Standby["mirrored"] {
  if (standby && standby.mirrored.length > 0) return standby.mirrored;
  throw new AppError("unprocessable", "The standby shows no release.");
}

/** Whoever named a hostname first has it: a second project cannot take it away by its configuration. */
async function requireOwnHostname(deps: FailoverDeps, place: FailoverPlace, hostname: string): Promise<void> {
  const owner = await ownerOfHostname(deps.db, place, hostname);
  if (owner === null) return;
  throw new AppError("unprocessable", `The hostname ${hostname} is the project ${owner}'s.`);
}

/** Tried again with growing pauses; given up when it cannot be, or after too many. */
async function failed(
  deps: FailoverDeps,
  lease: Lease,
  place: Switching,
  standby: Standby | null,
  error: unknown,
): Promise<number> {
  const attempts = place.switch.attempts + 1;
  const known = error instanceof AppError;
  const told = error instanceof GuardError ? `${refusalOf(error)}.` : messageOf(error);
  const reason = known ? told : "Something went wrong inside Signalbox; its log says what.";
  deps.log.warn(
    { project: place.project, to: place.switch.to, attempts, err: error },
    "a switch did not succeed",
  );
  const final = known && (error.code === "unprocessable" || error.code === "conflict");
  if (!final && attempts < MAX_ATTEMPTS) {
    const next = { ...place.switch, attempts, error: reason };
    await writePlace(deps.db, lease, place, { switch: next });
    return Math.min(1_000 * 2 ** (attempts - 1), LONGEST_PAUSE_MS);
  }
  // What was begun at the dock is taken back; where the hostname really points is read anew at the next look.
  if (place.switch.to === "standby" && place.serving === "primary" && standby) {
    await deactivate(deps, standby.mirrored, AbortSignal.timeout(DEADLINE_MS)).catch(() => {});
  }
  await settle(deps, lease, place, "abandoned", { switch: null, readAt: null }, reason);
  return place.policy.probe.intervalMs;
}

/** The end of a switch, with its event and its audit entry, or nothing: the lease or the switch may be another's. */
async function settle(
  deps: FailoverDeps,
  lease: Lease,
  place: Switching,
  kind: FailoverEventKind & ("switched" | "abandoned"),
  change: PlaceChange,
  reason = place.switch.reason,
): Promise<void> {
  const { projectId, environment } = place;
  const { id, to, by, actorName } = place.switch;
  const at = deps.clock.now();
  await deps.db.transaction().execute(async (tx) => {
    if (!(await writePlace(tx, lease, place, change))) return;
    const event = {
      projectId,
      environment,
      at,
      kind,
      switchId: id,
      side: to,
      reason,
      leaseToken: lease.token,
    };
    await writeEvent(tx, { ...event, actor: actorName });
    const subject = { type: "project", id: projectId };
    const details = { environment, to, by, switchId: id, reason, askedBy: actorName };
    await audit(tx, { actor: systemActor("failover"), action: `failover.${kind}`, subject, details, at });
  });
}
