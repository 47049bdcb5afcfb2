import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { getDeployment } from "./queries.ts";

/** Removes a deployment, its log and its process. @throws AppError `conflict` while a host points to it. */
export async function deleteDeployment(dock: Dock, idOrUrl: string): Promise<string> {
  const { id, state, project_id: projectId } = await getDeployment(dock, idOrUrl);
  if (state === "QUEUED" || state === "BUILDING") dock.queue.cancel(id);
  await dock.traffic.change((current) => {
    const hosts = [...current.aliases].filter(([, alias]) => alias.deploymentId === id).map(([host]) => host);
    const rollout = [...current.rollouts.values()].find((one) => one.stable === id || one.canary === id);
    if (hosts.length > 0 || rollout) {
      throw new AppError(
        "conflict",
        `The deployment ${id} serves ${hosts.join(", ") || "a rolling release"}.`,
        {
          hint: "Promote, roll back or assign the alias to another deployment first.",
        },
      );
    }
    return {
      removeReleases: [id],
      write: async (tx) => {
        await dock.hooks.emit(tx, "deployment.cleanup", { projectId, deploymentId: id });
        await tx.deleteFrom("deployments").where("id", "=", id).execute();
      },
    };
  });
  await dock.runner.stop(id);
  await dock.events.end(id);
  return id;
}
