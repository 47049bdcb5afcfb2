import type { Generated } from "kysely";
import type { SettingsTables } from "../../settings/index.ts";
import type { CheckTables } from "../tables.ts";

export type AgentTables = CheckTables &
  SettingsTables & {
    prober_agents: {
      id: string;
      location: string;
      token_hash: Buffer;
      seen_at: Date | null;
      correction_ms: Generated<number>;
      off_ms: number | null;
      actor_name: string;
      created_at: Date;
      revoked_at: Date | null;
    };
  };
