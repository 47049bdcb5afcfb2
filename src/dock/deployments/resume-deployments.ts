import type { Dock } from "../dock.ts";
import { endFailed } from "./end-deployment.ts";

/** A build that was under way when the dock died is begun once more; a second time it is given up. */
const MOST_ATTEMPTS = 2;

/** After a start: everything unfinished goes into the line again, in its order. */
export async function resumeDeployments(dock: Dock): Promise<void> {
  const rows = await dock.db
    .selectFrom("deployments")
    .select(["id", "attempts"])
    .where("state", "in", ["QUEUED", "BUILDING"])
    .orderBy("created_at")
    .orderBy("id")
    .execute();
  for (const { id, attempts } of rows) {
    await dock.events.open(id);
    if (attempts >= MOST_ATTEMPTS) {
      const message = `The dock ended ${attempts} times while it built this. Look into its log, then deploy again.`;
      await endFailed(dock, id, "BUILD_FAILED", message);
      continue;
    }
    if (attempts > 0) {
      dock.events.append(id, { type: "stderr", text: "The dock was restarted; the build begins again." });
    }
    dock.queue.add(id);
  }
  if (rows.length > 0) dock.log.info({ deployments: rows.length }, "resumed what was unfinished");
}
