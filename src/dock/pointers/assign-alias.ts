import { AppError } from "../../foundation/errors.ts";
import { type DeploymentView, getDeployment } from "../deployments/queries.ts";
import type { Dock } from "../dock.ts";
import { environmentHost, parseHost, productionHost } from "../hosts.ts";
import { getProject, listEnvironments } from "../projects/queries.ts";
import type { AliasKind } from "../rows.ts";
import { isHeldByAnother, isNameOfAnother } from "../traffic/host-owner.ts";
import type { ProjectDomain } from "../traffic/snapshot.ts";

export type AssignedAlias = {
  readonly uid: string;
  readonly alias: string;
  readonly created: Date;
  readonly oldDeploymentId: string | null;
};

/**
 * Points a host to a READY deployment. Resolves once the gateway serves it.
 * @throws AppError `bad_request` for a host that is none, `conflict` for one of another project or an immutable one.
 */
export async function assignAlias(dock: Dock, idOrUrl: string, alias: string): Promise<AssignedAlias> {
  const host = parseHost(alias.includes(".") ? alias : `${alias}.${dock.domain}`);
  if (!host) {
    throw new AppError("bad_request", `"${alias.slice(0, 260)}" is not a host name.`, {
      hint: "Use letters, digits and hyphens; 63 characters at most between two dots.",
    });
  }
  const deployment = await getDeployment(dock, idOrUrl);
  if (await isNameOfAnother(dock, host, deployment.project_id)) throw taken(host);
  const kind = await kindOf(dock, deployment, host);
  let oldDeploymentId: string | null = null;
  const generation = await dock.keeper.withUp([deployment.id], async () => {
    const generation = await dock.traffic.change((state) => {
      if (!state.releases.has(deployment.id)) throw notReady(deployment);
      const holder = state.aliases.get(host);
      if (isHeldByAnother(state, host, deployment.project_id)) throw taken(host);
      if (kind === "production" && state.rollouts.has(deployment.project_id)) throw rolling(host);
      oldDeploymentId = holder?.deploymentId ?? null;
      return {
        setAliases: [{ host, deploymentId: deployment.id, projectId: deployment.project_id, kind }],
        ...(kind === "production"
          ? { setPromoted: { deploymentId: deployment.id, at: dock.clock.now() } }
          : {}),
        write: async (tx, generation) => {
          await tx
            .updateTable("deployments")
            .set({ alias_generation: generation })
            .where("id", "=", deployment.id)
            .execute();
        },
      };
    });
    await dock.publisher.served(generation);
    return generation;
  });
  dock.keeper.sweep();
  dock.log.debug({ host, deploymentId: deployment.id, generation }, "assigned an alias");
  const row = await dock.db
    .selectFrom("aliases")
    .selectAll()
    .where("host", "=", host)
    .executeTakeFirstOrThrow();
  return { uid: row.uid, alias: host, created: row.created_at, oldDeploymentId };
}

/** A host that the project would assign by itself keeps its meaning when it is assigned by hand. */
async function kindOf(dock: Dock, deployment: DeploymentView, host: string): Promise<AliasKind> {
  const project = await getProject(dock.db, deployment.project_id);
  if (host === productionHost(project.name, dock.domain)) {
    if (deployment.target === "production") return "production";
    throw new AppError(
      "conflict",
      `${host} is production's, and ${deployment.id} was not built for production.`,
      {
        hint: "Assign it to a production build.",
      },
    );
  }
  const domain = dock.traffic.state.domains.get(host);
  if (domain) return kindOfDomain(domain, deployment, host);
  const environments = await listEnvironments(dock.db, project.id);
  const own = environments.some((one) => environmentHost(project.name, one.slug, dock.domain) === host);
  return own ? "environment" : "custom";
}

/** A host that the project was given follows what it was given for; another deployment may stand in until then. */
function kindOfDomain(domain: ProjectDomain, deployment: DeploymentView, host: string): AliasKind {
  if (domain.projectId !== deployment.project_id) throw taken(host);
  if (domain.environmentId !== null) return "environment";
  if (domain.gitBranch !== null) return "branch";
  return deployment.target === "production" ? "production" : "custom";
}

/** Takes a host away. @throws AppError `not_found`; `conflict` for production's host. */
export async function removeAlias(dock: Dock, hostOrUid: string): Promise<void> {
  const row = await dock.db
    .selectFrom("aliases")
    .select(["host", "kind"])
    .where((eb) => eb.or([eb("host", "=", hostOrUid.toLowerCase()), eb("uid", "=", hostOrUid)]))
    .executeTakeFirst();
  if (!row) throw new AppError("not_found", `There is no alias "${hostOrUid.slice(0, 260)}".`);
  const generation = await dock.traffic.change((state) => {
    const alias = state.aliases.get(row.host);
    if (alias && row.kind === "production" && state.rollouts.has(alias.projectId)) throw rolling(row.host);
    return { removeAliases: [row.host] };
  });
  await dock.publisher.served(generation);
  dock.keeper.sweep();
}

function notReady(deployment: DeploymentView): AppError {
  return new AppError(
    "conflict",
    `The deployment ${deployment.id} is ${deployment.state} and cannot serve.`,
    {
      hint: "Wait until it is READY, or choose another.",
    },
  );
}

function taken(host: string): AppError {
  return new AppError("conflict", `The host ${host} is in use by another project or is a deployment's own.`, {
    hint: "Choose another host, or remove it there first.",
  });
}

function rolling(host: string): AppError {
  return new AppError("conflict", `${host} is shared by an active rolling release.`, {
    hint: "Complete the rolling release, or roll back, first.",
  });
}
