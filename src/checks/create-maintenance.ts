import { type Actor, audit, requireRole } from "../access/index.ts";
import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { DAY_MS } from "../foundation/zone.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { findMaintenance, type MaintenanceDeps, type MaintenanceWindow } from "./maintenance.ts";
import { judgeSoon } from "./queries.ts";
import type { CheckTables } from "./tables.ts";

export type CreateMaintenanceInput = {
  readonly environment: EnvironmentName;
  /** Names. Left out: every check of the environment, those made later too. */
  readonly checks?: readonly string[] | undefined;
  /** Left out, or past: now. What has happened is not planned afterwards. */
  readonly from?: Date | undefined;
  readonly to: Date;
  readonly reason: string;
};

/** Longer is no maintenance: take the check away instead. */
export const LONGEST_MAINTENANCE_MS = 31 * DAY_MS;
/** A "now" that took its time to arrive. */
const SLACK_MS = 5 * 60_000;

/**
 * Plans trouble (deployer): while it lasts, what is down is no incident, and the time is not counted. Windows may
 * overlap; what they have in common is counted once.
 * @throws AppError `forbidden`; `not_found` for an unknown project; `bad_request` for a window that ends before it
 * begins, is past, is longer than 31 days, or is about checks that are not there.
 */
export async function createMaintenance(
  deps: MaintenanceDeps,
  actor: Actor,
  projectName: string,
  input: CreateMaintenanceInput,
): Promise<MaintenanceWindow> {
  requireRole(actor, "deployer");
  const now = deps.clock.now();
  const reason = input.reason.trim();
  const from = requireSense(input, reason, now);
  const projectId = await deps.projectIdOf(projectName);
  const checks = input.checks ? [...new Set(input.checks)].sort() : null;
  return deps.db.transaction().execute(async (tx) => {
    const { environment, to } = input;
    if (checks) await requireKnown(tx, projectId, environment, checks);
    const id = deps.ids("mnt");
    await tx
      .insertInto("maintenance_windows")
      .values({
        id,
        project_id: projectId,
        environment,
        checks: checks && JSON.stringify(checks),
        from_at: from,
        to_at: to,
        reason,
        actor_name: actor.name,
        created_at: now,
      })
      .execute();
    const details = { project: projectName, environment, checks, from, to, reason };
    const subject = { type: "maintenance_window", id };
    await audit(tx, { actor, action: "maintenance.create", subject, details, at: now });
    await judgeSoon(tx, { projectId, environment, names: checks }, now);
    return findMaintenance(tx, projectId, id);
  });
}

/** Answers when it begins. */
function requireSense(
  { checks, from = new Date(0), to }: CreateMaintenanceInput,
  reason: string,
  now: Date,
): Date {
  const begins = new Date(Math.max(from.getTime(), now.getTime()));
  const given = from.getTime() === 0 ? begins : from;
  const problem =
    (reason === "" && "Maintenance needs a reason.") ||
    (checks?.length === 0 && "A window about no check at all does nothing.") ||
    (to <= given && `The window ends (${to.toISOString()}) before it begins (${given.toISOString()}).`) ||
    (to <= begins && `The window ended at ${to.toISOString()}, which is past.`) ||
    (given.getTime() < now.getTime() - SLACK_MS &&
      `The window would begin at ${given.toISOString()}, which is past.`) ||
    (to.getTime() - begins.getTime() > LONGEST_MAINTENANCE_MS && "The window is longer than 31 days.");
  if (!problem) return begins;
  throw new AppError("bad_request", problem, {
    hint: 'Send "to" (and "from", if it is not now) as ISO 8601, a "reason", and at most 31 days.',
  });
}

async function requireKnown(
  tx: Tx<CheckTables>,
  projectId: string,
  environment: string,
  names: readonly string[],
): Promise<void> {
  const rows = await tx
    .selectFrom("checks")
    .select("name")
    .where("project_id", "=", projectId)
    .where("environment", "=", environment)
    .where("retired_at", "is", null)
    .orderBy("name")
    .execute();
  const known = rows.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const listed = unknown.slice(0, 10).map((name) => `"${name.slice(0, 80)}"`);
  throw new AppError("bad_request", `There is no check ${listed.join(", ")} in ${environment}.`, {
    hint:
      known.length === 0
        ? `There are no checks in ${environment}; leave "checks" out to mean all that there will be.`
        : `There are: ${known.slice(0, 50).join(", ")}.`,
  });
}
