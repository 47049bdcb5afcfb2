import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import type { Ids } from "../foundation/ids.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import type { SettingsTables } from "../settings/index.ts";
import type { CheckRules } from "./check-rules.ts";
import type { HeartbeatTables } from "./heartbeats/tables.ts";
import type { CheckTables } from "./tables.ts";

export type CheckDeps = {
  readonly db: Database<CheckTables & HeartbeatTables & SettingsTables>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly box: SecretBox;
  readonly checkRules: CheckRules;
  readonly allowNetworks: readonly string[];
  /** @throws AppError `not_found` */
  readonly projectIdOf: (project: string) => Promise<string>;
};
