import type { ColumnType, Generated } from "kysely";
import type { AccessTables } from "../access/index.ts";
import type { EngineTables } from "../deployments/index.ts";
import type { Histogram } from "./histogram.ts";
import type {
  CheckSource,
  Displayed,
  FailureClass,
  LocationState,
  Policy,
  ProbeType,
  Round,
  State,
} from "./model.ts";
import type { Gap } from "./seeds.ts";

type Json<T> = ColumnType<T, string, string>;
type Nullable<T> = ColumnType<T | null, string | null | undefined, string | null>;

/** Milliseconds of each state in one bucket, and what was measured in it. */
type Totals = {
  up_ms: number;
  degraded_ms: number;
  down_ms: number;
  unknown_ms: number;
  maintenance_ms: number;
  samples: number;
  failed: number;
  missed: number;
  /** Counts by bucket of the latency: `{"57": 12}`. */
  histogram: Json<Record<string, number>>;
};

type OwnTables = {
  checks: {
    id: string;
    project_id: string;
    environment: string;
    name: string;
    type: ProbeType;
    source: CheckSource;
    subject: string;
    settings: Buffer;
    policy: Json<Policy>;
    deployment_id: string | null;
    shard: number;
    created_at: Date;
    updated_at: Date;
    retired_at: Date | null;
  };
  check_states: {
    check_id: string;
    state: State;
    since: Date;
    displayed: Json<Displayed>;
    judge_at: Date | null;
  };
  check_locations: {
    check_id: string;
    location: string;
    fold: Json<LocationState>;
    last_at: Date;
    last_latency_ms: number | null;
    last_status: State;
  };
  check_samples: {
    check_id: string;
    location: string;
    scheduled_at: Date;
    started_at: Date;
    late_ms: number;
    status: State;
    untrusted: Round["untrusted"];
    latency_ms: number | null;
    latency_bucket: number | null;
    failure_class: FailureClass | null;
    details: Nullable<unknown>;
  };
  check_spans: {
    check_id: string;
    from_at: Date;
    to_at: Date | null;
    state: State;
    failure_class: FailureClass | null;
  };
  check_events: {
    id: Generated<number>;
    check_id: string;
    at: Date;
    written_at: Date;
    from_state: State;
    to_state: State;
    failure_class: FailureClass | null;
    message: string | null;
    suppressed_by: string | null;
    deployment_id: string | null;
  };
  check_minutes: { check_id: string; at: Date } & Totals;
  check_hours: { check_id: string; at: Date } & Totals;
  check_days: {
    check_id: string;
    day: ColumnType<string, string, string>;
    zone: string;
    from_at: Date;
    to_at: Date;
    frozen: boolean;
  } & Totals;
  check_rollups: {
    check_id: string;
    minutes_to: Date;
    frozen_to: Date;
    pruned_to: Date;
  };
  check_rerolls: { id: Generated<number>; check_id: string; from_at: Date };
  maintenance_windows: {
    id: string;
    project_id: string;
    environment: string;
    checks: Nullable<string[]>;
    from_at: Date;
    to_at: Date;
    reason: string;
    actor_name: string;
    created_at: Date;
    ended_at: Date | null;
  };
  probers: {
    id: string;
    location: string;
    kind: "inside" | "agent";
    started_at: Date;
    seen_at: Date;
    report: Json<ProberReport>;
  };
  check_shards: {
    location: string;
    shard: number;
    owner: string | null;
    lease_until: Date;
    token: number;
  };
  check_requests: {
    id: string;
    check_id: string;
    asked_at: Date;
    answered_at: Date | null;
    round: Nullable<Round>;
  };
  check_syncs: {
    project_id: string;
    slot: string;
    deployment_id: string;
    rules: string;
    synced_at: Date;
    gaps: Json<Gap[]>;
    failure: string | null;
    failed_at: Date | null;
  };
};

/** What a prober says of itself, over the last ten seconds. */
export type ProberReport = {
  readonly checks: number;
  readonly rounds: number;
  readonly missed: number;
  readonly latenessP50Ms: number;
  readonly latenessP99Ms: number;
  /** Lateness of the starts, by bucket of the latency histogram. */
  readonly lateness: Histogram;
  /** Rounds that are not written yet, and how long the oldest has waited. */
  readonly unwritten: number;
  readonly writeLagMs: number;
  readonly eventLoopLagP99Ms: number;
  /** Whether its own canaries answer. Null: it has none that ever did. */
  readonly connected: boolean | null;
};

export type CheckTables = AccessTables & Pick<EngineTables, "deployments" | "projects"> & OwnTables;
