import type { Tx } from "../../foundation/db.ts";
import type { HeartbeatSchedule } from "./schedule.ts";
import type { HeartbeatTables } from "./tables.ts";

/**
 * Makes the heartbeat of a check of this type, or moves it to another schedule: by whoever writes the check down, in
 * the same transaction. What it has heard stays; a new schedule counts from the next beat. It has no address until
 * `rotateHeartbeatKey` makes one.
 */
export async function placeHeartbeat(
  tx: Tx<HeartbeatTables>,
  checkId: string,
  schedule: HeartbeatSchedule,
  now: Date,
): Promise<void> {
  await tx
    .insertInto("heartbeats")
    .values({
      check_id: checkId,
      schedule: JSON.stringify(schedule),
      state: "new",
      since: now,
      version: 0,
      tell_at: now,
      runs: "{}",
    })
    .onConflict((conflict) => conflict.column("check_id").doUpdateSet({ schedule: JSON.stringify(schedule) }))
    .execute();
}
