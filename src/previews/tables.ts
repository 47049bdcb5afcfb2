import type { ColumnType } from "kysely";
import type { AccessTables } from "../access/index.ts";
import type { EngineTables } from "../deployments/index.ts";
import type { ProjectTables } from "../projects/index.ts";
import type { CloseKind, SweepStep } from "./plan-sweep.ts";

type Json<T> = ColumnType<T, string, string>;

/** A step as it went: `failed` says why a deploy or a close did not happen, and `deploymentId` what it made. */
export type StepTaken = SweepStep & { readonly failed?: string; readonly deploymentId?: string };

type OwnTables = {
  preview_policies: {
    project_id: string;
    source: "github" | "branches" | "none";
    repository: string | null;
    git_url: string | null;
    include: Json<string[]>;
    exclude: Json<string[]>;
    ttl_ms: number | null;
    max_previews: number;
    forks: boolean;
    comment_url: boolean;
    production_branch: string | null;
    deploy_on_push: Json<Record<string, "production" | "staging">>;
    updated_at: Date;
  };
  previews: {
    project_id: string;
    key: string;
    source: string;
    pull_request: number | null;
    branch: string;
    closed_at: Date | null;
    close_kind: CloseKind | null;
    close_reason: string | null;
    closed_deployment_id: string | null;
    closed_commit: string | null;
    reported: string | null;
  };
  preview_sweeps: {
    project_id: string;
    swept_at: Date | null;
    failing_since: Date | null;
    failure: string | null;
    steps: Json<StepTaken[]>;
  };
};

export type PreviewTables = AccessTables &
  Pick<ProjectTables, "projects"> &
  Pick<EngineTables, "deployments"> &
  OwnTables;
