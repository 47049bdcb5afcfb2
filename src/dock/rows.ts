import type { ColumnType, Generated } from "kysely";
import type { Database, Tx } from "../foundation/db.ts";
import type { BuiltFunction } from "./build/functions.ts";
import type { CronJob } from "./build/output-config.ts";
import type { ChecksState, ResourceTables } from "./resource-rows.ts";

/** jsonb: read as data, written as JSON text (the driver would turn an array into a Postgres array). */
type Json<T> = ColumnType<T, string, string>;
type JsonOrNull<T> = ColumnType<T | null, string | null | undefined, string | null>;
type JsonList<T> = ColumnType<readonly T[], string | undefined, string>;
type Nullable<T> = ColumnType<T | null, T | null | undefined, T | null>;

export type ProjectSettings = {
  readonly framework?: string | null | undefined;
  readonly installCommand?: string | null | undefined;
  readonly buildCommand?: string | null | undefined;
  readonly devCommand?: string | null | undefined;
  readonly outputDirectory?: string | null | undefined;
  readonly rootDirectory?: string | null | undefined;
  readonly nodeVersion?: string | null | undefined;
};

/** Settings that are kept and shown, by Vercel's names. */
export type ProjectOptions = Readonly<Record<string, unknown>>;

export type AliasRequest = {
  readonly fromDeploymentId: string | null;
  readonly toDeploymentId: string;
  readonly type: "promote" | "rollback";
  /** Milliseconds since 1970. */
  readonly requestedAt: number;
  /** The snapshot that carries it out; the job has succeeded once the gateway acknowledged that one. */
  readonly generation: number;
};

export type RollingStage = {
  readonly targetPercentage: number;
  readonly requireApproval: boolean;
  /** Minutes. An automatic release goes on after them, one that is approved waits. */
  readonly duration: number | null;
};
export type Advancement = "manual-approval" | "automatic";
export type RollingReleaseConfig = {
  readonly enabled: boolean;
  readonly advancementType: Advancement;
  readonly stages: readonly RollingStage[];
};

export type RollbackTarget = {
  readonly deploymentId: string;
  readonly requestedAt: number;
  readonly description?: string | undefined;
};

export type GitMetadata = Readonly<Record<string, unknown>>;
export type DeploymentState = "QUEUED" | "BUILDING" | "READY" | "ERROR" | "CANCELED";
export type DeploymentSubstate = "STAGED" | "ROLLING" | "PROMOTED";
export type VariableType = "system" | "encrypted" | "plain" | "sensitive";
export type AliasKind = "production" | "environment" | "branch" | "custom";

export type BranchMatcher = {
  readonly type: "equals" | "startsWith" | "endsWith";
  readonly pattern: string;
};

export type DockTables = ResourceTables & {
  dock_state: {
    id: Generated<number>;
    team: ColumnType<Readonly<Record<string, unknown>>, string | undefined, string>;
    generation: number;
    acknowledged: number;
    key_check: Nullable<Buffer>;
  };
  projects: {
    id: string;
    name: string;
    settings: Json<ProjectSettings>;
    auto_assign: Generated<boolean>;
    last_alias_request: JsonOrNull<AliasRequest>;
    last_rollback_target: JsonOrNull<RollbackTarget>;
    rolling_release_config: JsonOrNull<RollingReleaseConfig>;
    queued_promotion: Nullable<string>;
    skew_protection_max_age: Nullable<number>;
    drain_ms: Generated<number>;
    crons_disabled_at: Nullable<Date>;
    crons_updated_at: Nullable<Date>;
    options: ColumnType<ProjectOptions, string | undefined, string>;
    link: JsonOrNull<Readonly<Record<string, unknown>>>;
    paused_at: Nullable<Date>;
    created_at: Date;
    updated_at: Date;
  };
  custom_environments: {
    id: string;
    project_id: string;
    slug: string;
    description: Nullable<string>;
    branch_matcher: JsonOrNull<BranchMatcher>;
    created_at: Date;
    updated_at: Date;
  };
  variables: {
    id: string;
    project_id: string;
    key: string;
    type: VariableType;
    sealed: Buffer;
    targets: string[];
    custom_environment_ids: string[];
    git_branch: Nullable<string>;
    comment: Nullable<string>;
    created_at: Date;
    updated_at: Date;
  };
  trees: { digest: string; files: Buffer; file_count: number; created_at: Date };
  artifacts: {
    key: string;
    manifest: string;
    kind: "static" | "server";
    framework: Nullable<string>;
    server: JsonOrNull<{ directory: string; command: string }>;
    digests: string[];
    size_bytes: number;
    functions: JsonList<BuiltFunction>;
    crons: JsonList<CronJob>;
    created_at: Date;
  };
  deployments: {
    id: string;
    project_id: string;
    name: string;
    url: string;
    target: Nullable<"production">;
    custom_environment_id: Nullable<string>;
    branch: Nullable<string>;
    state: DeploymentState;
    substate: Nullable<DeploymentSubstate>;
    auto_assign: boolean;
    meta: Json<Record<string, string>>;
    git: JsonOrNull<GitMetadata>;
    settings: Json<ProjectSettings>;
    tree: string;
    prebuilt: boolean;
    force: boolean;
    env: Buffer;
    attempts: Generated<number>;
    artifact: Nullable<string>;
    reused: Generated<boolean>;
    ready_generation: Nullable<number>;
    alias_generation: Nullable<number>;
    aliases: Generated<string[]>;
    alias_error: JsonOrNull<{ code: string; message: string }>;
    error_code: Nullable<string>;
    error_message: Nullable<string>;
    source: Nullable<string>;
    created_at: Date;
    building_at: Nullable<Date>;
    ready_at: Nullable<Date>;
    ended_at: Nullable<Date>;
    promoted_at: Nullable<Date>;
    collected_at: Nullable<Date>;
    checks_state: Nullable<ChecksState>;
    checks_started_at: Nullable<Date>;
    checks_completed_at: Nullable<Date>;
  };
  deployment_events: {
    deployment_id: string;
    serial: number;
    at: Date;
    type: string;
    level: Nullable<string>;
    text: string;
  };
  cron_runs: { project_id: string; path: string; schedule: string; due_at: Date };
  aliases: {
    host: string;
    uid: string;
    project_id: string;
    deployment_id: string;
    kind: AliasKind;
    created_at: Date;
    updated_at: Date;
  };
  former_releases: {
    host: string;
    deployment_id: string;
    project_id: string;
    superseded_at: Date;
    drain_until: Nullable<Date>;
    rolled_back: boolean;
  };
  holds: {
    host: string;
    id: string;
    project_id: string;
    until: Date;
    max_ms: number;
    max_requests: number;
  };
  rolling_releases: {
    id: string;
    project_id: string;
    state: "ACTIVE" | "COMPLETE" | "ABORTED";
    current_deployment_id: string;
    canary_deployment_id: string;
    stages: Json<RollingStage[]>;
    active_stage: number;
    advancement: ColumnType<Advancement, Advancement | undefined, Advancement>;
    stage_at: Nullable<Date>;
    started_at: Date;
    updated_at: Date;
  };
};

export type DockDatabase = Database<DockTables>;
export type DockTx = Tx<DockTables>;
