import { AppError, messageOf } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { getProject } from "../projects/queries.ts";
import { approveStage, type RollingRelease } from "./rolling-release.ts";

const RETRY_MS = 5_000;

/**
 * Moves the automatic rolling releases whose stage is over to the next one, as if somebody had approved it.
 * A stage without a duration, or one that asks for approval, waits for a person. @returns when the next is due.
 */
export async function advanceAutomatically(dock: Dock): Promise<Date | null> {
  const now = dock.clock.now();
  const rows = await dock.db
    .selectFrom("rolling_releases")
    .selectAll()
    .where("state", "=", "ACTIVE")
    .where("advancement", "=", "automatic")
    .execute();
  const later: number[] = [];
  for (const row of rows) {
    const due = stageEnd(row);
    if (due === null) continue;
    if (due > now) {
      later.push(due.getTime());
      continue;
    }
    try {
      await approveStage(dock, await getProject(dock.db, row.project_id), {
        activeStageIndex: row.active_stage,
        nextStageIndex: row.active_stage + 1,
        canaryDeploymentId: row.canary_deployment_id,
      });
    } catch (error) {
      // Somebody was quicker: rolled back, approved or completed.
      if (error instanceof AppError && error.code === "conflict") continue;
      const { project_id: projectId } = row;
      dock.log.warn(
        { projectId, reason: messageOf(error) },
        "a rolling release could not go on by itself yet",
      );
      later.push(now.getTime() + RETRY_MS);
    }
  }
  return later.length === 0 ? null : new Date(Math.min(...later));
}

/** Pure. */
export function stageEnd(row: Pick<RollingRelease, "stages" | "active_stage" | "stage_at">): Date | null {
  const stage = row.stages[row.active_stage];
  if (!stage || stage.duration === null || row.stage_at === null) return null;
  return new Date(row.stage_at.getTime() + stage.duration * 60_000);
}
