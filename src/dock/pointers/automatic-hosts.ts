import type { Deployment } from "../deployments/queries.ts";
import type { Dock } from "../dock.ts";
import { branchHost, environmentHost, productionHost, pullRequestHost } from "../hosts.ts";
import { findEnvironment, findProject } from "../projects/queries.ts";
import { isHeldByAnother, isNameOfAnother } from "../traffic/host-owner.ts";
import { type AliasTarget, productionOf, type TrafficState } from "../traffic/snapshot.ts";

export type AutomaticHost = { readonly host: string } & AliasTarget;

/** The host that a deployment gets by itself; null where it asked for none, or where it is another project's. */
export async function automaticHost(dock: Dock, row: Deployment): Promise<AutomaticHost | null> {
  const found = await hostOf(dock, row);
  // A branch `x` of `app` would be served where the project `app-git-x` is.
  return found && (await isNameOfAnother(dock, found.host, row.project_id)) ? null : found;
}

async function hostOf(dock: Dock, row: Deployment): Promise<AutomaticHost | null> {
  // By the project's name of now: it may have been renamed while this one was built or checked.
  const project = await findProject(dock.db, row.project_id);
  if (!project) return null;
  const { name } = project;
  const { domain } = dock;
  const alias = { deploymentId: row.id, projectId: row.project_id };
  if (row.target === "production")
    return { ...alias, host: productionHost(name, domain), kind: "production" };
  if (row.custom_environment_id) {
    const environment = await findEnvironment(dock.db, row.project_id, row.custom_environment_id);
    if (!environment) return null;
    return { ...alias, host: environmentHost(name, environment.slug, domain), kind: "environment" };
  }
  const pullRequest = pullRequestOf(row.meta);
  if (pullRequest !== null)
    return { ...alias, host: pullRequestHost(name, pullRequest, domain), kind: "branch" };
  return row.branch ? { ...alias, host: branchHost(name, row.branch, domain), kind: "branch" } : null;
}

/** The number of the pull request that a preview belongs to: it has that one's host, and not its branch's. */
function pullRequestOf(meta: Readonly<Record<string, string>>): number | null {
  const text = meta.pullRequest ?? "";
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
}

/** What moves now: the automatic host and the project's own domains beside it, or nothing. Pure. */
export function dueAliases(
  state: TrafficState,
  row: Deployment,
  host: AutomaticHost | null,
): AutomaticHost[] {
  if (!host || !isDue(state, row, host)) return [];
  const isOurs = (domain: string) => !isHeldByAnother(state, domain, row.project_id);
  const domains = domainsOf(state, row.project_id, {
    branch: host.kind === "branch" ? row.branch : null,
    environmentId: row.custom_environment_id,
  });
  return [host, ...domains.filter(isOurs).map((domain) => ({ ...host, host: domain }))];
}

/** The project's domains that follow this place; production without branch and environment. */
export function domainsOf(
  state: TrafficState,
  projectId: string,
  place: { readonly branch: string | null; readonly environmentId: string | null },
): string[] {
  return [...state.domains]
    .filter(
      ([, domain]) =>
        domain.projectId === projectId &&
        domain.gitBranch === place.branch &&
        domain.environmentId === place.environmentId,
    )
    .map(([name]) => name);
}

/** Whether the host moves now. A build that began earlier never takes it from one that began later. */
function isDue(state: TrafficState, row: Deployment, host: AutomaticHost): boolean {
  if (!row.auto_assign) return false;
  if (host.kind === "production") {
    if (state.manual.has(row.project_id) || state.rollouts.has(row.project_id)) return false;
    const serving = productionOf(state, row.project_id);
    const release = serving && state.releases.get(serving.deploymentId);
    if (release && release.createdAt > row.created_at) return false;
  }
  if (isHeldByAnother(state, host.host, row.project_id)) return false;
  const holder = state.aliases.get(host.host);
  const release = holder && state.releases.get(holder.deploymentId);
  return !release || release.createdAt <= row.created_at;
}
