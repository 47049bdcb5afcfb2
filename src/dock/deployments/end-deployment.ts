import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { getDeployment } from "./queries.ts";

/** Ends an unfinished deployment in ERROR; the last line of its log says why. Ended already: nothing. */
export async function endFailed(dock: Dock, id: string, code: string, message: string): Promise<void> {
  const ended = await dock.db
    .updateTable("deployments")
    .set({ state: "ERROR", error_code: code, error_message: message, ended_at: dock.clock.now() })
    .where("id", "=", id)
    .where("state", "in", ["QUEUED", "BUILDING"])
    .executeTakeFirst();
  if (ended.numUpdatedRows > 0n) {
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
  const ended = await dock.db
    .updateTable("deployments")
    .set({ state: "CANCELED", ended_at: dock.clock.now() })
    .where("id", "=", id)
    .where("state", "in", ["QUEUED", "BUILDING"])
    .executeTakeFirst();
  if (ended.numUpdatedRows === 0n) {
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
