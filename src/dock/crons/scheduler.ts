import type { Dock } from "../dock.ts";
import { settingsOf } from "../traffic/snapshot.ts";
import { cronsOf, fireCron } from "./fire.ts";
import { type CronDefinition, dueAt, untilNextMinuteMs } from "./schedule.ts";

/** The wall clock may be set meanwhile, so the wait for a minute is looked at again this often. */
const LOOK_MS = 1_000;

/** Fires what is due, minute by minute, until the dock closes. The first minute is the next one to begin. */
export function startCrons(dock: Dock, undo: AsyncDisposableStack): void {
  const closing = new AbortController();
  undo.defer(() => closing.abort(new Error("the dock is closing")));
  const { clock, log } = dock;
  let seen = clock.now();
  const run = async () => {
    while (!closing.signal.aborted) {
      const wait = Math.min(LOOK_MS, untilNextMinuteMs(clock.now()));
      await clock.sleep(wait, closing.signal).catch(() => {});
      if (closing.signal.aborted) return;
      const now = clock.now();
      try {
        await fireDue(dock, { after: seen, now, signal: closing.signal });
      } catch (error) {
        log.error({ err: error }, "the cron jobs of a minute could not be started");
      }
      seen = now;
    }
  };
  void run();
}

/** Starts every job that became due after `after`; resolves once they are started. */
async function fireDue(
  dock: Dock,
  { after, now, signal }: { after: Date; now: Date; signal: AbortSignal },
): Promise<void> {
  const projects = new Set([...dock.traffic.state.aliases.values()].map((alias) => alias.projectId));
  for (const projectId of projects) {
    const crons = cronsOf(dock, projectId);
    // Nothing of a paused project runs: its visitors are turned away as well.
    if (!crons || settingsOf(dock.traffic.state, projectId).paused) continue;
    const due = crons.definitions.flatMap((cron) => {
      const at = dueOrNull(dock, cron, after, now);
      return at ? [{ cron, at }] : [];
    });
    for (const { cron, at } of due) {
      if (!(await claim(dock, projectId, cron, at))) continue;
      void fireCron(dock, { host: crons.host, deploymentId: crons.deploymentId, cron }, signal);
    }
  }
}

function dueOrNull(dock: Dock, cron: CronDefinition, after: Date, now: Date): Date | null {
  try {
    return dueAt(cron.schedule, after, now);
  } catch (error) {
    // Checked when it was built; an older artifact may hold what a newer parser refuses.
    dock.log.warn({ err: error, path: cron.path }, "a cron job has no valid schedule");
    return null;
  }
}

/** Whether the moment is ours to run: one statement, so that no two docks and no restart run it twice. */
async function claim(dock: Dock, projectId: string, cron: CronDefinition, dueAt: Date): Promise<boolean> {
  const claimed = await dock.db
    .insertInto("cron_runs")
    .columns(["project_id", "path", "schedule", "due_at"])
    .expression((eb) =>
      eb
        .selectFrom("projects")
        .select([
          "id",
          eb.val(cron.path).as("path"),
          eb.val(cron.schedule).as("schedule"),
          eb.cast<Date>(eb.val(dueAt), "timestamptz").as("due_at"),
        ])
        .where("id", "=", projectId)
        .where("crons_disabled_at", "is", null),
    )
    .onConflict((conflict) =>
      conflict
        .columns(["project_id", "path", "schedule"])
        .doUpdateSet((eb) => ({ due_at: eb.ref("excluded.due_at") }))
        .whereRef("cron_runs.due_at", "<", "excluded.due_at"),
    )
    .returning("project_id")
    .execute();
  return claimed.length > 0;
}
