import type { Artifact } from "../build/build.ts";
import type { Deployment } from "../deployments/queries.ts";
import { openEnv } from "../deployments/variables-of.ts";
import type { Dock } from "../dock.ts";
import type { AppSpec } from "../run/run.ts";

/** The process of a server release, with the variables that were fixed when the deployment was created. */
export function appSpec(
  dock: Pick<Dock, "secrets">,
  row: Deployment,
  server: NonNullable<Artifact["server"]>,
): AppSpec {
  return {
    deploymentId: row.id,
    server,
    env: { ...systemVariables(row), ...openEnv(dock, row.id, row.env).run },
  };
}

/** What a running release may ask about itself, as Vercel's system environment variables name it. */
function systemVariables(row: Deployment): Record<string, string> {
  return {
    VERCEL: "1",
    VERCEL_ENV: row.target ?? "preview",
    VERCEL_URL: row.url,
    VERCEL_DEPLOYMENT_ID: row.id,
    VERCEL_PROJECT_ID: row.project_id,
    ...(row.branch === null ? {} : { VERCEL_GIT_COMMIT_REF: row.branch }),
    ...(typeof row.git?.commitSha === "string" ? { VERCEL_GIT_COMMIT_SHA: row.git.commitSha } : {}),
  };
}
