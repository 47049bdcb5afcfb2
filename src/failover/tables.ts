import type { ColumnType, Generated } from "kysely";
import type { AccessTables } from "../access/index.ts";
import type { EngineTables } from "../deployments/index.ts";
import type { ProjectTables } from "../projects/index.ts";
import type { Health } from "./health.ts";
import type { FailoverPolicy, Side } from "./policy.ts";
import type { StandbyRelease } from "./standby.ts";

type Json<T> = ColumnType<T, string, string>;

/** A switch that is under way. */
export type Switch = {
  readonly id: string;
  readonly to: Side;
  readonly by: "automatic" | "person";
  readonly actorName: string;
  readonly reason: string;
  readonly startedAt: string;
  /** A person wants it although the other side is not known to be well. */
  readonly force: boolean;
  readonly attempts: number;
  readonly error: string | null;
};

type Leased = {
  lease_owner: string | null;
  lease_until: Date | null;
  lease_token: Generated<number>;
  wake_at: Date;
};

export type FailoverEventKind =
  | "switching"
  | "switched"
  | "abandoned"
  | "moved"
  | "automatic_on"
  | "automatic_off"
  | "standby_ready"
  | "standby_failed";

type OwnTables = {
  failovers: Leased & {
    project_id: string;
    environment: string;
    policy: Json<FailoverPolicy>;
    asked: boolean;
    live_id: string;
    serving: Generated<Side>;
    serving_since: Date;
    switched_by: "automatic" | "person" | null;
    automatic: Generated<boolean>;
    switch: ColumnType<Switch | null, string | null | undefined, string | null>;
    health: Json<Health>;
    read_at: Date | null;
    elsewhere: string | null;
  };
  failover_standbys: Leased & {
    project_id: string;
    environment: string;
    deployment_id: string;
    generation: Generated<number>;
    releases: ColumnType<StandbyRelease[], string | undefined, string>;
    attempts: Generated<number>;
    error: string | null;
    mirrored_id: string | null;
    mirrored: ColumnType<StandbyRelease[], string | undefined, string>;
    mirrored_at: Date | null;
    answering_since: Date | null;
    failures: Generated<number>;
    checked_at: Date | null;
    missing_variables: ColumnType<string[], string | undefined, string>;
    warning: string | null;
  };
  failover_events: {
    id: Generated<number>;
    project_id: string;
    environment: string;
    at: Date;
    kind: FailoverEventKind;
    switch_id: string | null;
    side: Side | null;
    reason: string | null;
    actor_name: string;
    lease_token: number;
  };
};

export type FailoverTables = AccessTables &
  Pick<ProjectTables, "projects"> &
  Pick<EngineTables, "deployments"> &
  OwnTables;
