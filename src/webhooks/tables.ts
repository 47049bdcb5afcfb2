import type { ColumnType } from "kysely";
import type { PreviewTables } from "../previews/index.ts";
import type { Outcome } from "./decide-delivery.ts";

export type WebhookTables = PreviewTables & {
  webhook_secrets: { project_id: string; sealed: Buffer; created_at: Date };
  webhook_deliveries: {
    project_id: string;
    delivery_id: string;
    event: string;
    received_at: Date;
    claimed_at: Date;
    outcome: ColumnType<Outcome, string, string> | null;
  };
};
