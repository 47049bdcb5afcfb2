import type { AccessTables } from "../access/index.ts";

export type SettingsTables = AccessTables & {
  project_secrets: {
    project_id: string;
    environment: string | null;
    name: string;
    sealed: Buffer;
    updated_at: Date;
    actor_name: string;
  };
  project_networks: {
    project_id: string;
    cidr: string;
    reason: string;
    actor_name: string;
    created_at: Date;
  };
};
