import { messageOf } from "../../foundation/errors.ts";
import { atDeadline, waitingSince } from "./beat.ts";
import type { HeartbeatDeps } from "./deps.ts";
import { UNHEARD_MS } from "./listening.ts";
import { changeHeartbeat, type Heartbeat, heardAll, listDue, readListening } from "./queries.ts";
import { tell } from "./tell.ts";

/** A beat that arrived at the deadline has so long to be stored before silence is found. */
const SETTLE_MS = 1_000;
const AT_ONCE = 200;

/**
 * Finds deadlines that have passed without a beat, and gives the word of every heartbeat once an interval, so that its
 * check is never stale while somebody watches over it. Several may sweep at once: each change is made once.
 * Call it every second. Answers how many it told of.
 */
export async function sweepHeartbeats(deps: HeartbeatDeps, now: Date): Promise<number> {
  const due = await listDue(deps.db, new Date(now.getTime() - SETTLE_MS), now, AT_ONCE);
  let told = 0;
  for (const heartbeat of due) {
    try {
      if (await look(deps, heartbeat, now)) told++;
    } catch (error) {
      // One that cannot be told of must not keep the others from it.
      deps.log.warn({ checkId: heartbeat.check_id, err: messageOf(error) }, "a heartbeat was not swept");
    }
  }
  return told;
}

async function look(deps: HeartbeatDeps, heartbeat: Heartbeat, now: Date): Promise<boolean> {
  const deadline = heartbeat.alert_after;
  const isOver = deadline !== null && deadline.getTime() < now.getTime() - SETTLE_MS;
  if (isOver) {
    const heard = await heardUntil(deps, heartbeat, deadline, now);
    if (heard !== "not yet") {
      const change = { ...atDeadline(heartbeat, heartbeat.schedule, heard), tell_at: now };
      // Not ours where a beat, or another sweep, was first.
      if (!(await changeHeartbeat(deps.db, heartbeat, change))) return false;
      await tell(deps, heartbeat.check_id);
      return true;
    }
  }
  // Between its deadline and what is made of it, it has no word to give.
  const isUndecided = deadline !== null && deadline <= now;
  if (heartbeat.state === "new" || heartbeat.tell_at > now || isUndecided) return false;
  const tell_at = new Date(now.getTime() + heartbeat.policy.intervalMs);
  if (!(await changeHeartbeat(deps.db, heartbeat, { tell_at }))) return false;
  await tell(deps, heartbeat.check_id);
  return true;
}

/** Whether beats were heard all the while that this one may have come; "not yet" while that is not known. */
async function heardUntil(
  deps: HeartbeatDeps,
  heartbeat: Heartbeat,
  deadline: Date,
  now: Date,
): Promise<{ all: boolean; since: Date } | "not yet"> {
  const newest = await readListening(deps.db);
  const listens = newest !== null && newest.until.getTime() >= now.getTime() - UNHEARD_MS;
  if (listens && newest.until < deadline) return "not yet";
  const all = await heardAll(deps.db, waitingSince(heartbeat, heartbeat.schedule), deadline);
  return { all, since: listens ? newest.since : now };
}
