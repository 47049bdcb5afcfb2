import type { Clock } from "../../foundation/clock.ts";
import type { Database } from "../../foundation/db.ts";
import type { Log } from "../../foundation/log.ts";
import type { HeartbeatTables } from "./tables.ts";

export type HeartbeatDeps = {
  readonly db: Database<HeartbeatTables>;
  readonly clock: Clock;
  readonly log: Log;
};
