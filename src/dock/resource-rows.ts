import type { ColumnType, Generated } from "kysely";

type Json<T> = ColumnType<T, string, string>;
type JsonOrNull<T> = ColumnType<T | null, string | null | undefined, string | null>;
type Nullable<T> = ColumnType<T | null, T | null | undefined, T | null>;

export type CheckBlocks =
  | "build-start"
  | "deployment-start"
  | "deployment-alias"
  | "deployment-promotion"
  | "none";
export type CheckRequires = "build-ready" | "deployment-url" | "none";
export type CheckStatus = "queued" | "running" | "completed";
export type ChecksState = "pending" | "succeeded" | "failed";
export type EdgeConfigItem = {
  readonly value: unknown;
  readonly description?: string | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
};

type CheckTerms = {
  project_id: string;
  name: string;
  requires: CheckRequires;
  blocks: CheckBlocks;
  targets: string[];
  source: Json<Readonly<Record<string, unknown>>>;
  is_rerequestable: boolean;
  created_at: Date;
  updated_at: Date;
};

type WebhookTables = {
  webhooks: {
    id: string;
    url: string;
    events: string[];
    /** Empty: of every project. */
    project_ids: string[];
    sealed: Buffer;
    created_at: Date;
    updated_at: Date;
  };
  webhook_deliveries: {
    serial: Generated<number>;
    webhook_id: string;
    event: string;
    body: string;
    attempts: Generated<number>;
    created_at: Date;
    next_at: Date;
  };
};

type DomainTables = {
  domains: { name: string; id: string; settings: Json<Readonly<Record<string, unknown>>>; created_at: Date };
  dns_records: {
    id: string;
    domain: string;
    type: string;
    name: string;
    value: string;
    ttl: Nullable<number>;
    mx_priority: Nullable<number>;
    comment: Nullable<string>;
    created_at: Date;
    updated_at: Date;
  };
  certs: { id: string; cns: string[]; auto_renew: boolean; created_at: Date; expires_at: Date };
};

/** The tables of `0004_resources.sql`. */
export type ResourceTables = WebhookTables &
  DomainTables & {
    bypass_secrets: {
      id: string;
      project_id: string;
      hash: string;
      sealed: Buffer;
      note: Nullable<string>;
      is_env: boolean;
      created_at: Date;
    };
    shared_variables: {
      id: string;
      key: string;
      type: "encrypted" | "plain" | "sensitive";
      sealed: Buffer;
      targets: string[];
      project_ids: string[];
      comment: Nullable<string>;
      created_at: Date;
      updated_at: Date;
    };
    project_domains: {
      name: string;
      project_id: string;
      redirect: Nullable<string>;
      redirect_status: Nullable<number>;
      git_branch: Nullable<string>;
      custom_environment_id: Nullable<string>;
      created_at: Date;
      updated_at: Date;
    };
    project_checks: CheckTerms & { id: string; timeout_s: number };
    check_runs: CheckTerms & {
      id: string;
      serial: Generated<number>;
      version: number;
      deployment_id: string;
      check_id: Nullable<string>;
      path: Nullable<string>;
      timeout_s: Nullable<number>;
      status: CheckStatus;
      conclusion: Nullable<string>;
      conclusion_text: Nullable<string>;
      external_id: Nullable<string>;
      url: Nullable<string>;
      output: JsonOrNull<Readonly<Record<string, unknown>>>;
      started_at: Nullable<Date>;
      completed_at: Nullable<Date>;
      deadline: Nullable<Date>;
    };
    edge_configs: {
      id: string;
      slug: string;
      items: Json<Readonly<Record<string, EdgeConfigItem>>>;
      definition: JsonOrNull<unknown>;
      digest: string;
      created_at: Date;
      updated_at: Date;
    };
    edge_config_tokens: {
      id: string;
      edge_config_id: string;
      label: string;
      hash: string;
      sealed: Buffer;
      created_at: Date;
    };
  };
