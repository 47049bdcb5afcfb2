import type { ColumnType, Generated } from "kysely";

type Json = ColumnType<unknown, string, string>;

export type AccessTables = {
  tokens: {
    id: string;
    name: string;
    role: "viewer" | "deployer" | "owner";
    token_hash: Buffer;
    created_at: Date;
    revoked_at: Date | null;
  };
  audit_log: {
    id: Generated<number>;
    at: Date;
    actor_kind: string;
    actor_id: string | null;
    actor_name: string;
    action: string;
    subject_type: string;
    subject_id: string;
    details: Json;
  };
  idempotency_keys: {
    actor_id: string;
    route: string;
    key: string;
    request_hash: Buffer;
    status: number | null;
    body: Json | null;
    created_at: Date;
  };
};
