import type { ColumnType, Generated, Kysely } from "kysely";
import type { AccessTables } from "../access/index.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { Source } from "./plan-source.ts";
import type { Cleanup, Deployment, DeploymentOutcome, Facts, Plan, ServiceRelease } from "./record.ts";
import type { State } from "./state.ts";

type Json<T> = ColumnType<T, string, string>;

export type DeploymentRow = {
  id: string;
  seq: Generated<number>;
  project_id: string;
  environment: EnvironmentName;
  slot: string;
  branch: string | null;
  pull_request: number | null;
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
  services: ColumnType<ServiceRelease[], string | undefined, string>;
  weight: Generated<number>;
  rollback_to_id: string | null;
  rollback_of: string | null;
  cleanup: Cleanup | null;
  contract_at: Date | null;
  outcome: DeploymentOutcome | null;
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
  deployment_signals: {
    id: Generated<number>;
    deployment_id: string;
    kind: "pause" | "resume" | "advance" | "promote" | "abort";
    reason: string | null;
    actor_name: string;
    at: Date;
  };
  deployment_logs: {
    deployment_id: string;
    seq: number;
    service: string;
    line: number;
    at: Date;
    stream: string;
    text: string;
  };
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
    pullRequest: row.pull_request,
    commit: { sha: row.commit_sha, message: row.commit_message, dirty: row.dirty },
    source: row.source,
    force: row.force,
    generation: row.generation,
    state: row.state,
    stateSince: row.state_since,
    deadlineAt: row.deadline_at,
    reason: row.reason,
    hint: row.hint,
    leaseToken: row.lease_token,
    leaseOwner: row.lease_owner,
    leaseUntil: row.lease_until,
    wakeAt: row.wake_at,
    plan: row.plan,
    facts: row.facts,
    services: row.services,
    weight: row.weight,
    rollbackToId: row.rollback_to_id,
    rollbackOf: row.rollback_of,
    cleanup: row.cleanup,
    contractAt: row.contract_at,
    outcome: row.outcome,
    logsComplete: row.logs_complete,
    liveAt: row.live_at,
    retiredAt: row.retired_at,
    actorId: row.actor_id,
    actor: row.actor_name,
    idempotencyKey: row.idempotency_key,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    finishedAt: row.finished_at,
  };
}

type Field = Exclude<keyof Deployment, "seq" | "project" | "commit">;

/** Each field's column; `commit` is three. Those of `JSON_FIELDS` are written as JSON. */
const COLUMNS: Readonly<Record<Field, keyof DeploymentRow>> = {
  id: "id",
  projectId: "project_id",
  environment: "environment",
  slot: "slot",
  branch: "branch",
  pullRequest: "pull_request",
  source: "source",
  force: "force",
  generation: "generation",
  state: "state",
  stateSince: "state_since",
  deadlineAt: "deadline_at",
  reason: "reason",
  hint: "hint",
  leaseToken: "lease_token",
  leaseOwner: "lease_owner",
  leaseUntil: "lease_until",
  wakeAt: "wake_at",
  plan: "plan",
  facts: "facts",
  services: "services",
  weight: "weight",
  rollbackToId: "rollback_to_id",
  rollbackOf: "rollback_of",
  cleanup: "cleanup",
  contractAt: "contract_at",
  outcome: "outcome",
  logsComplete: "logs_complete",
  liveAt: "live_at",
  retiredAt: "retired_at",
  actorId: "actor_id",
  actor: "actor_name",
  idempotencyKey: "idempotency_key",
  createdAt: "created_at",
  updatedAt: "updated_at",
  finishedAt: "finished_at",
};

const JSON_FIELDS = new Set<string>(["source", "plan", "facts", "services"] satisfies Field[]);

/** The columns of what is given; fields that are undefined are left out. */
export function toColumns(fields: Partial<Omit<Deployment, "seq" | "project">>): Record<string, unknown> {
  const columns: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (field === "commit") {
      const { sha, message, dirty } = value as Deployment["commit"];
      Object.assign(columns, { commit_sha: sha, commit_message: message, dirty });
    } else {
      const asJson = JSON_FIELDS.has(field) && value !== null;
      columns[COLUMNS[field as Field]] = asJson ? JSON.stringify(value) : value;
    }
  }
  return columns;
}
