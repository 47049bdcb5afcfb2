import type { QueryExecutorProvider } from "kysely";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import type { SettingsTables } from "./tables.ts";

export type SettingsDeps = {
  readonly db: Database<SettingsTables>;
  readonly clock: Clock;
  readonly box: SecretBox;
  /** @throws AppError `not_found` */
  readonly projectIdOf: (project: string) => Promise<string>;
  /** Networks that every project may reach. */
  readonly allowNetworks: readonly string[];
  /** Tells whoever has loaded settings, in the transaction that changes them. */
  readonly changed: (tx: QueryExecutorProvider) => Promise<void>;
};
