import { isDeepStrictEqual } from "node:util";
import { type Actor, audit, requireRole } from "../access/index.ts";
import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { isTimeZone } from "../foundation/zone.ts";
import type { EnvironmentName } from "../targets/target.ts";
import { type FreezeWindow, WEEKDAYS, type WeeklyWindow } from "./freeze.ts";
import { findFreeze, type ListedFreeze, listFreezes, oneAtATime, type Scope } from "./queries.ts";
import { windowColumns } from "./rows.ts";
import type { GateDeps } from "./subject.ts";
import type { GateTables } from "./tables.ts";

export type CreateFreezeInput = {
  readonly name: string;
  readonly reason?: string | undefined;
  /** A project's name. Left out: all projects. */
  readonly project?: string | undefined;
  /** Left out: all environments. */
  readonly environment?: EnvironmentName | undefined;
  readonly expiresAt?: Date | undefined;
  readonly window: FreezeWindow;
};

type Wanted = Scope & { name: string; reason: string | null; expiresAt: Date | null; window: FreezeWindow };

/**
 * Freezes a place for a time, once or every week (owner). The same freeze again is that freeze.
 * @throws AppError `forbidden`; `bad_request` for a window that never holds or an unknown zone; `not_found` for an
 * unknown project; `conflict` when there is another freeze of that name in that place.
 */
export async function createFreeze(
  deps: GateDeps,
  actor: Actor,
  input: CreateFreezeInput,
): Promise<{ freeze: ListedFreeze; created: boolean }> {
  requireRole(actor, "owner");
  const name = input.name.trim();
  const now = deps.clock.now();
  const expiresAt = input.expiresAt ?? null;
  requireSense(name, input.window, expiresAt, now);
  const window = normal(input.window);
  const projectId = input.project === undefined ? null : await deps.projectIdOf(input.project);
  const environment = input.environment ?? null;
  const reason = input.reason?.trim() || null;
  const wanted: Wanted = { projectId, environment, name, reason, expiresAt, window };
  return deps.db.transaction().execute(async (tx) => {
    await oneAtATime(tx, "freeze_windows");
    const there = (await listFreezes(tx, now)).find(
      (freeze) =>
        freeze.name === name && freeze.projectId === projectId && freeze.environment === environment,
    );
    if (there) return { freeze: requireSame(there, wanted), created: false };
    const id = await insert(deps, tx, actor, wanted, now);
    return { freeze: await findFreeze(tx, id), created: true };
  });
}

async function insert(
  deps: GateDeps,
  tx: Tx<GateTables>,
  actor: Actor,
  wanted: Wanted,
  at: Date,
): Promise<string> {
  const id = deps.ids("frz");
  const { projectId, environment, name, reason, expiresAt, window } = wanted;
  await tx
    .insertInto("freeze_windows")
    .values({
      id,
      project_id: projectId,
      environment,
      name,
      reason,
      owner_id: actor.id,
      owner_name: actor.name,
      created_at: at,
      expires_at: expiresAt,
      kind: window.kind,
      ...windowColumns(window),
    })
    .execute();
  await audit(tx, { actor, action: "freeze.create", subject: { type: "freeze", id }, details: wanted, at });
  await deps.wake(tx, { projectId, environment });
  return id;
}

function requireSame(there: ListedFreeze, wanted: Wanted): ListedFreeze {
  const columns = isDeepStrictEqual(windowColumns(there), windowColumns(wanted.window));
  if (columns && there.expiresAt?.getTime() === wanted.expiresAt?.getTime()) return there;
  throw new AppError("conflict", `There is another freeze "${wanted.name}" in this place: ${there.id}.`, {
    hint: "Remove that one first, or choose another name.",
  });
}

function requireSense(name: string, window: FreezeWindow, expiresAt: Date | null, now: Date): void {
  const problem =
    (name === "" && "A freeze needs a name.") ||
    (expiresAt !== null &&
      expiresAt <= now &&
      `The freeze would end at ${expiresAt.toISOString()}, which is past.`) ||
    (window.kind === "once" ? problemOfOnce(window, now) : problemOfWeekly(window));
  if (!problem) return;
  throw new AppError("bad_request", problem, {
    hint: 'Once: "from" and "until" as ISO 8601. Weekly: "days", "from", "until" as HH:MM, and an IANA "timeZone".',
  });
}

function problemOfOnce({ from, until }: Extract<FreezeWindow, { kind: "once" }>, now: Date): string | null {
  if (until <= from)
    return `The freeze ends (${until.toISOString()}) before it begins (${from.toISOString()}).`;
  return until <= now ? `The freeze ended at ${until.toISOString()}, which is past.` : null;
}

function problemOfWeekly(window: WeeklyWindow): string | null {
  if (window.days.length === 0) return "A weekly freeze needs at least one day.";
  const wrong = [window.from, window.until].find((time) => !/^([01]\d|2[0-3]):[0-5]\d$/.test(time));
  if (wrong !== undefined) return `"${wrong}" is no time of day from 00:00 to 23:59.`;
  return isTimeZone(window.timeZone) ? null : `"${window.timeZone}" is no IANA time zone.`;
}

/** Each day once and in order, so that equal freezes are equal rows. */
function normal(window: FreezeWindow): FreezeWindow {
  if (window.kind === "once") return window;
  return { ...window, days: WEEKDAYS.filter((day) => window.days.includes(day)) };
}
