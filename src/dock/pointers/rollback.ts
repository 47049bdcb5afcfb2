import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { Project } from "../projects/queries.ts";
import { productionOf } from "../traffic/snapshot.ts";
import { aliasRequest, productionAliases } from "./promote.ts";
import { releaseOf } from "./release-of.ts";

/**
 * Points production back to a deployment that served it before, ends an active rolling release, and stops production
 * from following new builds until the next promote. A release that was stopped is up before anything moves.
 * Resolves once the gateway serves it. @throws AppError `unprocessable` for one that never was production.
 */
export async function rollback(
  dock: Dock,
  project: Project,
  named: string,
  description?: string,
): Promise<void> {
  const rolling = dock.traffic.state.rollouts.get(project.id);
  // Whoever names the canary wants it gone: that is how the CLI ends a rolling release.
  const deploymentId = named === rolling?.canary ? rolling.stable : named;
  const release = await releaseOf(dock, project, deploymentId);
  if (release.promotedAt === null) {
    throw new AppError("unprocessable", `The deployment ${deploymentId} has never been production.`, {
      hint: "Roll back to one that was, or promote this one.",
    });
  }
  await dock.keeper.withUp([deploymentId], async () => {
    const now = dock.clock.now();
    const generation = await dock.traffic.change((state) => {
      const from = productionOf(state, project.id)?.deploymentId ?? null;
      const rollout = state.rollouts.get(project.id);
      return {
        setAliases: productionAliases(dock, state, project, deploymentId),
        isRollback: true,
        autoAssignInMemory: { projectId: project.id, value: false },
        ...(rollout ? { setRollouts: [{ projectId: project.id, rollout: null }] } : {}),
        write: async (tx, generation) => {
          const request = aliasRequest("rollback", rollout?.canary ?? from, deploymentId, now, generation);
          await tx
            .updateTable("projects")
            .set({
              auto_assign: false,
              last_alias_request: JSON.stringify(request),
              last_rollback_target: JSON.stringify({ deploymentId, requestedAt: now.getTime(), description }),
              queued_promotion: null,
              updated_at: now,
            })
            .where("id", "=", project.id)
            .execute();
          const more = { fromDeploymentId: request.fromDeploymentId, toDeploymentId: deploymentId };
          await dock.hooks.emit(tx, "deployment.rollback", { projectId: project.id, deploymentId, more });
          if (!rollout) return;
          const aborted = { projectId: project.id, deploymentId: rollout.canary };
          await dock.hooks.emit(tx, "project.rolling-release.aborted", aborted);
          await tx
            .updateTable("rolling_releases")
            .set({ state: "ABORTED", updated_at: now })
            .where("id", "=", rollout.id)
            .execute();
          await tx
            .updateTable("deployments")
            .set({ substate: "STAGED" })
            .where("id", "=", rollout.canary)
            .where("promoted_at", "is", null)
            .execute();
        },
      };
    });
    await dock.publisher.served(generation);
  });
  dock.keeper.sweep();
}

/**
 * Why production was rolled back, said later.
 * @throws AppError `not_found` when that is not what was rolled back to.
 */
export async function describeRollback(
  dock: Dock,
  project: Project,
  deploymentId: string,
  description: string,
): Promise<void> {
  const target = project.last_rollback_target;
  if (target?.deploymentId !== deploymentId) {
    throw new AppError("not_found", `The project "${project.name}" was not rolled back to ${deploymentId}.`);
  }
  await dock.db
    .updateTable("projects")
    .set({ last_rollback_target: JSON.stringify({ ...target, description }), updated_at: dock.clock.now() })
    .where("id", "=", project.id)
    .execute();
}
