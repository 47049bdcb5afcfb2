import type { Artifact } from "../build/build.ts";
import type { Deployment } from "../deployments/queries.ts";
import { systemVariablesOf } from "../deployments/system-variables.ts";
import { openEnv } from "../deployments/variables-of.ts";
import type { Dock } from "../dock.ts";
import type { AppSpec } from "../run/run.ts";

/** There is one place where everything runs. */
const REGION = "local";

/** The process of a server release, with the variables that were fixed when the deployment was created. */
export async function appSpec(
  dock: Pick<Dock, "secrets" | "db" | "domain">,
  row: Deployment,
  server: NonNullable<Artifact["server"]>,
): Promise<AppSpec> {
  const { fixed, own } = await systemVariablesOf(dock, row);
  return {
    deploymentId: row.id,
    server,
    env: { ...fixed, ...own, VERCEL_REGION: REGION, ...openEnv(dock, row.id, row.env).run },
  };
}
