import { AppError } from "../../foundation/errors.ts";
import { refuseUnchecked } from "../checks/settle.ts";
import type { Dock } from "../dock.ts";
import { productionHost } from "../hosts.ts";
import type { Project } from "../projects/queries.ts";
import type { AliasRequest } from "../rows.ts";
import { productionOf, type TrafficState } from "../traffic/snapshot.ts";
import type { Change } from "../traffic/traffic.ts";
import { domainsOf } from "./automatic-hosts.ts";
import { releaseOf } from "./release-of.ts";

/**
 * Points production to a production build, and lets production follow new builds again. `queued`: a rolling release is
 * active; it happens when that one is complete. Resolves once the gateway serves it.
 * @throws AppError `conflict` for a preview build (a production build of it is needed), `unavailable` while the gateway
 *   is away.
 */
export async function promote(
  dock: Dock,
  project: Project,
  deploymentId: string,
): Promise<"done" | "queued"> {
  const release = await releaseOf(dock, project, deploymentId);
  if (release.target !== "production") {
    throw new AppError("conflict", `The deployment ${deploymentId} was not built for production.`, {
      hint: 'Build it with POST /v13/deployments {"deploymentId": …, "target": "production"}, then promote that one.',
    });
  }
  await refuseUnchecked(dock, deploymentId);
  return dock.keeper.withUp([deploymentId], async () => {
    let queued = false;
    const generation = await dock.traffic.change((state) => {
      queued = state.rollouts.has(project.id);
      return queued ? queuePromotion(project, deploymentId) : promotion(dock, state, project, deploymentId);
    });
    if (queued) return "queued";
    await dock.publisher.served(generation);
    dock.keeper.sweep();
    return "done";
  });
}

function queuePromotion(project: Project, deploymentId: string): Change {
  return {
    write: async (tx) => {
      await tx
        .updateTable("projects")
        .set({ queued_promotion: deploymentId })
        .where("id", "=", project.id)
        .execute();
    },
  };
}

/** The change that makes a deployment production. */
export function promotion(dock: Dock, state: TrafficState, project: Project, deploymentId: string): Change {
  const now = dock.clock.now();
  const from = productionOf(state, project.id)?.deploymentId ?? null;
  return {
    setAliases: productionAliases(dock, state, project, deploymentId),
    setPromoted: { deploymentId, at: now },
    write: async (tx, generation) => {
      const request = aliasRequest("promote", from, deploymentId, now, generation);
      await tx
        .updateTable("projects")
        .set({
          auto_assign: true,
          last_alias_request: JSON.stringify(request),
          last_rollback_target: null,
          queued_promotion: null,
          updated_at: now,
        })
        .where("id", "=", project.id)
        .execute();
      const more = { fromDeploymentId: from, toDeploymentId: deploymentId };
      await dock.hooks.emit(tx, "deployment.promoted", { projectId: project.id, deploymentId, more });
    },
    autoAssignInMemory: { projectId: project.id, value: true },
  };
}

/** The project's own host and every domain that follows its production. */
export function productionAliases(dock: Dock, state: TrafficState, project: Project, deploymentId: string) {
  const hosts = [
    productionHost(project.name, dock.domain),
    ...domainsOf(state, project.id, { branch: null, environmentId: null }),
  ];
  return hosts.map((host) => ({ host, deploymentId, projectId: project.id, kind: "production" as const }));
}

export function aliasRequest(
  type: AliasRequest["type"],
  from: string | null,
  to: string,
  at: Date,
  generation: number,
): AliasRequest {
  return { type, fromDeploymentId: from, toDeploymentId: to, requestedAt: at.getTime(), generation };
}
