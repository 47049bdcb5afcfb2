import type { ColumnType, Selectable } from "kysely";
import type { Failure } from "../model.ts";
import type { CheckTables } from "../tables.ts";
import type { HeartbeatSchedule } from "./schedule.ts";

type Json<T> = ColumnType<T, string, string>;
type Nullable<T> = ColumnType<T | null, string | null | undefined, string | null>;

type OwnTables = {
  heartbeats: {
    check_id: string;
    key_hash: Buffer | null;
    schedule: Json<HeartbeatSchedule>;
    state: "new" | "up" | "down" | "unknown";
    since: Date;
    failure: Nullable<Failure>;
    version: number;
    expected_at: Date | null;
    alert_after: Date | null;
    tell_at: Date;
    runs: Json<Record<string, number>>;
    last_at: Date | null;
    last_kind: "success" | "start" | "fail" | null;
    last_exit_code: number | null;
    last_runtime_ms: number | null;
    last_output: string | null;
  };
  heartbeat_listening: { since: Date; until: Date };
};

export type HeartbeatTables = CheckTables & OwnTables;
export type HeartbeatRow = Selectable<OwnTables["heartbeats"]>;
