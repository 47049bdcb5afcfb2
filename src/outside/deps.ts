import type { AccessTables } from "../access/index.ts";
import type { EngineTables, Probe } from "../deployments/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import type { Log } from "../foundation/log.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import type { ProjectTables } from "../projects/index.ts";
import type { OutsideView, Target } from "../targets/target.ts";
import type { OwnTables } from "./tables.ts";

export type OutsideTables = AccessTables &
  Pick<ProjectTables, "projects"> &
  Pick<EngineTables, "deployments"> &
  OwnTables;

export type OutsideDeps = {
  readonly db: Database<OutsideTables>;
  readonly clock: Clock;
  readonly log: Log;
  readonly box: SecretBox;
  readonly target: Pick<Target, "probeHeaders"> & { readonly outside: OutsideView };
  readonly probe: Probe;
  /** Where people and Vercel reach our API, without a slash at its end; null: nobody has said. */
  readonly publicUrl: string | null;
  /** Looks at the project's watches soon. */
  readonly wake: (projectId: string) => void;
};
