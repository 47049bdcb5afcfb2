import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { Project } from "../projects/queries.ts";
import type { RoutedRelease } from "../traffic/snapshot.ts";

/**
 * The READY deployment of this id in the project, from memory: a rollback reads no rows.
 * @throws AppError `not_found`; `conflict` when it is there and cannot serve.
 */
export async function releaseOf(dock: Dock, project: Project, deploymentId: string): Promise<RoutedRelease> {
  const release = dock.traffic.state.releases.get(deploymentId);
  if (release?.projectId === project.id) return release;
  const row = await dock.db
    .selectFrom("deployments")
    .select(["state", "project_id", "collected_at"])
    .where("id", "=", deploymentId)
    .executeTakeFirst();
  if (!row || row.project_id !== project.id) {
    throw new AppError("not_found", `The project "${project.name}" has no deployment "${deploymentId}".`, {
      hint: "List them with GET /v7/deployments?projectId=…",
    });
  }
  throw new AppError(
    "conflict",
    row.collected_at
      ? `The files of the deployment ${deploymentId} were removed on ${row.collected_at.toISOString()}.`
      : `The deployment ${deploymentId} is ${row.state} and cannot serve.`,
    { hint: row.collected_at ? "Deploy its commit again." : "Wait until it is READY, or choose another." },
  );
}
