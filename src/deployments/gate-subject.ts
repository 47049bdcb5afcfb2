import { type QueryExecutorProvider, sql } from "kysely";
import type { EnvironmentName } from "../targets/target.ts";
import { WAKE_CHANNEL } from "./channels.ts";
import { approvalDigest } from "./decide-gate.ts";
import { loadDeployment } from "./ledger-queries.ts";
import type { Deployment } from "./record.ts";
import type { Tx } from "./tables.ts";

/** A deployment as its gate sees it: what an approval given now would be bound to. Null: there is none of this id. */
export async function readGateSubject(tx: Tx, id: string) {
  const deployment = await loadDeployment(tx, id);
  return deployment && subjectOf(deployment);
}

function subjectOf(deployment: Deployment) {
  const { projectId, environment, state, plan, services, actorId, actor, facts } = deployment;
  const isBuilt = services.length > 0 && services.every((service) => service.built);
  return {
    projectId,
    environment,
    state,
    digest: isBuilt ? approvalDigest(deployment) : null,
    requestedBy: { id: actorId, name: actor },
    policy: plan?.gate ?? null,
    askedAt: facts.askedAtMs === undefined ? null : new Date(facts.askedAtMs),
  };
}

/** Makes deployments that wait for their turn or their gate look again, once `tx` is committed. */
export async function wakeWaiting(
  tx: QueryExecutorProvider,
  where:
    | { readonly deploymentId: string }
    | { readonly projectId: string | null; readonly environment: EnvironmentName | null },
): Promise<void> {
  const which =
    "deploymentId" in where
      ? sql`id = ${where.deploymentId}`
      : sql`(${where.projectId}::text is null or project_id = ${where.projectId})
          and (${where.environment}::text is null or environment = ${where.environment})`;
  await sql`
    with waiting as (
      update deployments set wake_at = null
      where state in ('queued', 'awaiting_approval') and ${which}
      returning id
    )
    select pg_notify(${WAKE_CHANNEL}, id) from waiting`.execute(tx);
}
