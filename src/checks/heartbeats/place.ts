import { isDeepStrictEqual } from "node:util";
import type { Tx } from "../../foundation/db.ts";
import { afterSchedule } from "./beat.ts";
import type { HeartbeatSchedule } from "./schedule.ts";
import type { HeartbeatTables } from "./tables.ts";

/**
 * Makes the heartbeat of a check of this type, or moves it to another schedule: by whoever writes the check down, in
 * the same transaction. What it has heard stays; what is waited for follows the new schedule. It has no address until
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
    .onConflict((conflict) => conflict.column("check_id").doNothing())
    .execute();
  const before = await tx
    .selectFrom("heartbeats")
    .selectAll()
    .where("check_id", "=", checkId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  // The same again must not put off a deadline.
  if (isDeepStrictEqual(before.schedule, schedule)) return;
  await tx
    .updateTable("heartbeats")
    .set((eb) => ({
      schedule: JSON.stringify(schedule),
      ...afterSchedule(before, schedule, now),
      version: eb("version", "+", 1),
    }))
    .where("check_id", "=", checkId)
    .execute();
}
