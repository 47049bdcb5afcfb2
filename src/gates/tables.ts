import type { AccessTables } from "../access/index.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { Freeze, Weekday } from "./freeze.ts";

export type GateTables = AccessTables & {
  deployment_approvals: {
    id: string;
    deployment_id: string;
    digest: string;
    decision: "approve" | "reject";
    actor_id: string | null;
    actor_name: string;
    comment: string | null;
    at: Date;
  };
  deploy_locks: {
    id: string;
    project_id: string | null;
    environment: EnvironmentName | null;
    owner_id: string | null;
    owner_name: string;
    reason: string;
    created_at: Date;
    expires_at: Date | null;
    released_at: Date | null;
    released_by: string | null;
    release_reason: string | null;
  };
  freeze_windows: {
    id: string;
    project_id: string | null;
    environment: EnvironmentName | null;
    name: string;
    reason: string | null;
    owner_id: string | null;
    owner_name: string;
    created_at: Date;
    expires_at: Date | null;
    kind: Freeze["kind"];
    starts_at: Date | null;
    ends_at: Date | null;
    days: Weekday[] | null;
    from_time: string | null;
    until_time: string | null;
    until_day: Weekday | null;
    time_zone: string | null;
    deleted_at: Date | null;
    deleted_by: string | null;
  };
  break_glass: {
    deployment_id: string;
    actor_id: string | null;
    actor_name: string;
    reason: string;
    at: Date;
  };
  /** Owned by the projects domain; only these two columns are read here. */
  projects: { id: string; name: string };
};
