import type { QueryExecutorProvider } from "kysely";
import type { Clock } from "../../foundation/clock.ts";
import type { Database } from "../../foundation/db.ts";
import type { Ids } from "../../foundation/ids.ts";
import type { SecretBox } from "../../foundation/secret-box.ts";
import type { AgentTables } from "./tables.ts";

export type AgentDeps = {
  readonly db: Database<AgentTables>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly box: SecretBox;
  /** Tells the probers inside, in the transaction that changes who else probes. */
  readonly changed: (tx: QueryExecutorProvider) => Promise<void>;
};

/** Who pushes: its token is good now. */
export type Agent = { readonly id: string; readonly location: string };
