import { type Actor, audit, requireRole } from "../access/index.ts";
import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { FailoverDeps } from "./deps.ts";
import { findPlace } from "./find-place.ts";
import type { FailoverPlace } from "./place.ts";
import type { Side } from "./policy.ts";
import { readStandby, wakePlace, writeEvent } from "./queries.ts";
import { stateOf } from "./standby.ts";
import type { FailoverTables, Switch } from "./tables.ts";

export type SwitchByHand = {
  readonly project: string;
  readonly to: Side;
  readonly reason?: string | undefined;
  /** Although the other side is not known to be well. */
  readonly force?: boolean | undefined;
};

type Deps = Pick<FailoverDeps, "db" | "clock" | "ids" | "wake">;

/**
 * Asks for the hostname to be moved, now, whatever the automatic would do. Written down with its audit entry; the
 * worker does it at once. The same wish again is the switch that is under way; the other way overtakes it.
 * No lock or freeze holds it: the same release serves, and a lock must not keep a site down.
 * @throws AppError `forbidden`, `not_found`, `unprocessable` without a switch, `conflict` when the other side is not
 * known to be well, which `force` overrules.
 */
export async function switchByHand(deps: Deps, actor: Actor, input: SwitchByHand): Promise<Switch | null> {
  requireRole(actor, "deployer");
  const { to, force = false } = input;
  const at = deps.clock.now();
  const begun = await deps.db.transaction().execute(async (tx) => {
    const place = await findPlace(tx, input.project, { lock: true });
    if (place.switch?.to === to) return place.switch;
    if (place.switch === null && place.serving === to && place.elsewhere === null) return null;
    await requirePossible(tx, place, to, force);
    const reason = input.reason?.trim() || "Asked for by hand.";
    const rest = { actorName: actor.name, reason, force, attempts: 0, error: null };
    const wanted: Switch = { id: deps.ids("fsw"), to, by: "person", startedAt: at.toISOString(), ...rest };
    await write(tx, actor, place, wanted, at);
    return wanted;
  });
  deps.wake();
  return begun;
}

async function requirePossible(
  tx: Tx<FailoverTables>,
  place: FailoverPlace,
  to: Side,
  force: boolean,
): Promise<void> {
  if (place.policy.switch === null || place.policy.hostname === null) {
    throw new AppError("unprocessable", `The configuration of ${place.project} names no switch.`, {
      hint: "Add hostname and switch to failover in signalbox.yaml, or move the hostname at your DNS yourself.",
    });
  }
  if (to === "primary") {
    if (force || place.health.verdict === "well") return;
    throw new AppError("conflict", `The primary is not known to be well. ${place.health.reason}`, {
      hint: "Wait until it is, or move visitors there all the same with --force.",
    });
  }
  const standby = await readStandby(tx, place);
  const { state, reason } = stateOf(standby, place.liveId);
  if (state === "ready") return;
  const shows = standby !== null && standby.mirroredId !== null;
  if (force && shows) return;
  throw new AppError("conflict", `The standby is ${state}.${reason === null ? "" : ` ${reason}`}`, {
    hint: shows
      ? "Wait until it is ready, or move visitors to what it shows with --force."
      : "It shows nothing yet: `signalbox failover status` tells what it waits for.",
  });
}

async function write(
  tx: Tx<FailoverTables>,
  actor: Actor,
  place: FailoverPlace,
  wanted: Switch,
  at: Date,
): Promise<void> {
  const { projectId, environment, leaseToken } = place;
  await tx
    .updateTable("failovers")
    .set({ switch: JSON.stringify(wanted) })
    .where("project_id", "=", projectId)
    .where("environment", "=", environment)
    .execute();
  const event = { projectId, environment, at, actor: actor.name, leaseToken };
  if (place.switch) {
    const { id, to } = place.switch;
    const reason = `Overtaken by ${actor.name}.`;
    await writeEvent(tx, { ...event, kind: "abandoned", switchId: id, side: to, reason });
  }
  const { id, to, reason, force } = wanted;
  await writeEvent(tx, { ...event, kind: "switching", switchId: id, side: to, reason });
  const details = { environment, to, reason, force, switchId: id };
  const subject = { type: "project", id: projectId };
  await audit(tx, { actor, action: "failover.switch", subject, details, at });
  await wakePlace(tx, place, at);
}
