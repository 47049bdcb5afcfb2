import type { ColumnType, Generated, Kysely } from "kysely";
import type { AccessTables } from "../access/index.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { Commit, Source } from "./plan-source.ts";
import type { Cleanup, Deployment, Facts, Plan } from "./record.ts";
import type { State } from "./state.ts";

type Json<T> = ColumnType<T, string, string>;

export type DeploymentRow = {
  id: string;
  seq: Generated<number>;
  project_id: string;
  environment: EnvironmentName;
  slot: string;
  branch: string | null;
  commit_sha: string | null;
  commit_message: string | null;
  dirty: boolean;
  source: Json<Source>;
  force: boolean;
  generation: Generated<number>;
  state: State;
  state_since: Date;
  deadline_at: Date | null;
  reason: string | null;
  hint: string | null;
  lease_owner: string | null;
  lease_until: Date | null;
  lease_token: Generated<number>;
  wake_at: Date | null;
  plan: Json<Plan> | null;
  facts: ColumnType<Facts, string | undefined, string>;
  target_deployment_id: string | null;
  url: string | null;
  urls: ColumnType<string[], string | undefined, string>;
  kind: "static" | "server" | "unknown" | null;
  reused: Generated<boolean>;
  build_started_at: Date | null;
  weight: Generated<number>;
  previous_target_id: string | null;
  rollback_to_id: string | null;
  rollback_to_target_id: string | null;
  rollback_of: string | null;
  cleanup: Cleanup | null;
  logs_complete: Generated<boolean>;
  live_at: Date | null;
  retired_at: Date | null;
  actor_id: string | null;
  actor_name: string;
  idempotency_key: string | null;
  created_at: Date;
  updated_at: Date;
  finished_at: Date | null;
};

export type EngineTables = AccessTables & {
  deployments: DeploymentRow;
  deployment_events: {
    id: Generated<number>;
    deployment_id: string;
    at: Date;
    from_state: State | null;
    to_state: State;
    weight: number | null;
    reason: string | null;
    actor_name: string;
    lease_token: number;
  };
  deployment_logs: { deployment_id: string; seq: number; at: Date; stream: string; text: string };
  deployment_rollbacks: {
    id: string;
    project_id: string;
    from_id: string | null;
    to_id: string | null;
    stopped: Json<string[]>;
    reason: string | null;
    actor_id: string | null;
    actor_name: string;
    idempotency_key: string | null;
    created_at: Date;
  };
  /** Owned by the projects domain; only these two columns are read here. */
  projects: { id: string; name: string };
};

/** The database, or a transaction in it. */
export type Tx = Kysely<EngineTables>;

/** A row as Kysely selects it, with the project's name beside it. */
export type SelectedRow = {
  [K in keyof DeploymentRow]: DeploymentRow[K] extends ColumnType<infer S, infer _I, infer _U>
    ? S
    : DeploymentRow[K] extends Json<infer T> | null
      ? T | null
      : DeploymentRow[K];
} & { project: string };

export function toDeployment(row: SelectedRow): Deployment {
  return {
    id: row.id,
    seq: row.seq,
    projectId: row.project_id,
    project: row.project,
    environment: row.environment,
    slot: row.slot,
    branch: row.branch,
    commit: commitOf(row),
    source: row.source,
    force: row.force,
    generation: row.generation,
    state: row.state,
    stateSince: row.state_since,
    deadlineAt: row.deadline_at,
    reason: row.reason,
    hint: row.hint,
    leaseToken: row.lease_token,
    leaseUntil: row.lease_until,
    wakeAt: row.wake_at,
    plan: row.plan,
    facts: row.facts,
    targetDeploymentId: row.target_deployment_id,
    url: row.url,
    urls: row.urls,
    kind: row.kind,
    reused: row.reused,
    buildStartedAt: row.build_started_at,
    weight: row.weight,
    previousTargetId: row.previous_target_id,
    rollbackToId: row.rollback_to_id,
    rollbackToTargetId: row.rollback_to_target_id,
    rollbackOf: row.rollback_of,
    cleanup: row.cleanup,
    logsComplete: row.logs_complete,
    liveAt: row.live_at,
    retiredAt: row.retired_at,
    actor: row.actor_name,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
  };
}

function commitOf(row: SelectedRow): Commit {
  return { sha: row.commit_sha, message: row.commit_message, dirty: row.dirty };
}
