import type { ColumnType, Generated } from "kysely";
import type { Phase } from "./migrator.ts";

type Names = ColumnType<string[], string, string>;

export type SchemaTables = {
  migration_runs: {
    key: string;
    deployment_id: string;
    project_id: string;
    environment: string;
    phase: Phase;
    state: "running" | "done" | "failed";
    attempts: Generated<number>;
    files: Names;
    applied: ColumnType<string[], string | undefined, string>;
    expand_version: string | null;
    contract_version: string | null;
    log: Generated<string>;
    error: string | null;
    hint: string | null;
    started_at: Date;
    finished_at: Date | null;
  };
};
