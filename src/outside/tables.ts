import type { ColumnType, Generated } from "kysely";
import type { EventKind, Seen } from "./compare.ts";

type Json<T> = ColumnType<T, string, string>;

export type OwnTables = {
  outside_watches: {
    target_project_id: string;
    project_id: string;
    seen: Json<Seen> | null;
    looked_at: Date | null;
    failing_since: Date | null;
    failure: string | null;
    claimed_until: Date | null;
  };
  outside_events: {
    id: Generated<number>;
    project_id: string;
    target_project_id: string;
    key: string;
    at: Date;
    kind: EventKind;
    target_deployment_id: string | null;
    deployment_id: string | null;
    summary: string;
    details: Json<Record<string, unknown>>;
  };
  vercel_webhooks: {
    project_id: string;
    sealed: Buffer;
    hook_id: string | null;
    url: string | null;
    created_at: Date;
  };
  vercel_deliveries: { project_id: string; delivery_id: string; type: string; received_at: Date };
};
