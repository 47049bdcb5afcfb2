import type { Probe } from "../deployments/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import type { Ids } from "../foundation/ids.ts";
import type { Log } from "../foundation/log.ts";
import type {
  HostnameSwitches,
  PrepareStandby,
  PrimaryVariables,
  ResupplyStandby,
  StandbyTarget,
  StatusPage,
} from "./ports.ts";
import type { FailoverTables } from "./tables.ts";

export type FailoverDeps = {
  readonly db: Database<FailoverTables>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly probe: Probe;
  readonly standby: StandbyTarget;
  readonly prepare: PrepareStandby;
  readonly resupply: ResupplyStandby;
  readonly variables: PrimaryVariables;
  readonly statusPage: StatusPage;
  readonly switches: HostnameSwitches;
  /** Unique to this process and this start of it: it names the owner of leases. */
  readonly workerId: string;
  /** Looks at what is due now, in this process. */
  readonly wake: () => void;
};
