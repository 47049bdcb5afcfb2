import { AppError } from "../../foundation/errors.ts";
import { cancelRuns } from "../checks/runs.ts";
import type { Dock } from "../dock.ts";
import { getDeployment } from "./queries.ts";

/** Ends an unfinished deployment in ERROR; the last line of its log says why. Ended already: nothing. */
export async function endFailed(dock: Dock, id: string, code: string, message: string): Promise<void> {
  const fields = { state: "ERROR" as const, error_code: code, error_message: message };
  if (await end(dock, id, "deployment.error", fields)) {
    // Clients look for the line of level "error" that holds the error's message, and stop there.
    dock.events.append(id, { type: "stderr", level: "error", text: message });
  }
  await dock.events.end(id);
}

/**
 * Ends a deployment that is queued or building. Canceled already: no error.
 * @throws AppError `conflict` when it has ended otherwise.
 */
export async function cancelDeployment(dock: Dock, idOrUrl: string): Promise<void> {
  const { id } = await getDeployment(dock, idOrUrl);
  if (!(await end(dock, id, "deployment.canceled", { state: "CANCELED" }))) {
    const { state } = await getDeployment(dock, id);
    if (state === "CANCELED") return;
    throw new AppError("conflict", `The deployment ${id} is ${state} and cannot be canceled.`, {
      hint: "Only a deployment that is QUEUED or BUILDING can be canceled.",
    });
  }
  dock.events.append(id, { type: "stderr", text: "The deployment was canceled." });
  dock.queue.cancel(id);
  await dock.events.end(id);
}

/** False: it had ended before. */
async function end(
  dock: Dock,
  id: string,
  event: "deployment.error" | "deployment.canceled",
  fields: { state: "ERROR" | "CANCELED"; error_code?: string; error_message?: string },
): Promise<boolean> {
  return dock.db.transaction().execute(async (tx) => {
    const ended = await tx
      .updateTable("deployments")
      .set({ ...fields, ended_at: dock.clock.now() })
      .where("id", "=", id)
      .where("state", "in", ["QUEUED", "BUILDING"])
      .returning("project_id")
      .executeTakeFirst();
    if (!ended) return false;
    await cancelRuns(dock, tx, id);
    await dock.hooks.emit(tx, event, { projectId: ended.project_id, deploymentId: id });
    return true;
  });
}
