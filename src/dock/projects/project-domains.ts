import type { Selectable } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { parseHost, productionHost } from "../hosts.ts";
import type { DockTables } from "../rows.ts";
import { isNameOfAnother } from "../traffic/host-owner.ts";
import { domainOf } from "../traffic/load.ts";
import { type AliasTarget, productionOf, type TrafficState } from "../traffic/snapshot.ts";
import type { Change } from "../traffic/traffic.ts";
import { VercelError } from "../vercel-error.ts";
import { getEnvironment, getProject, type Project } from "./queries.ts";

export type ProjectDomainRow = Selectable<DockTables["project_domains"]>;
export type DomainInput = {
  readonly gitBranch?: string | null | undefined;
  readonly customEnvironmentId?: string | null | undefined;
  /** The host that visitors are sent to instead. */
  readonly redirect?: string | null | undefined;
  readonly redirectStatusCode?: number | null | undefined;
};

/** The host that every project has without a row, then what it was given. */
export async function listProjectDomains(dock: Dock, project: Project): Promise<ProjectDomainRow[]> {
  const rows = await dock.db
    .selectFrom("project_domains")
    .selectAll()
    .where("project_id", "=", project.id)
    .orderBy("created_at")
    .orderBy("name")
    .execute();
  return [ownDomain(dock, project), ...rows];
}

function ownDomain(dock: Dock, project: Project): ProjectDomainRow {
  return {
    name: productionHost(project.name, dock.domain),
    project_id: project.id,
    redirect: null,
    redirect_status: null,
    git_branch: null,
    custom_environment_id: null,
    created_at: project.created_at,
    updated_at: project.created_at,
  };
}

/** @throws VercelError `not_found`. */
export async function getProjectDomain(
  dock: Dock,
  project: Project,
  name: string,
): Promise<ProjectDomainRow> {
  const row = (await listProjectDomains(dock, project)).find((one) => one.name === name.toLowerCase());
  if (row) return row;
  throw new VercelError(
    "not_found",
    "not_found",
    `The project "${project.name}" has no domain "${name.slice(0, 253)}".`,
  );
}

/** Gives a project a host, which points to what it follows at once. Resolves once the gateway serves it. */
export async function addProjectDomain(
  dock: Dock,
  project: Project,
  name: string,
  input: DomainInput,
): Promise<ProjectDomainRow> {
  const host = parseHost(name);
  if (!host?.includes(".")) {
    throw new VercelError("bad_request", "invalid_domain", `"${name.slice(0, 253)}" is not a domain.`, {
      hint: "Name a host such as www.example.com.",
    });
  }
  const now = dock.clock.now();
  if (await isNameOfAnother(dock, host, project.id)) throw inUse(host, undefined);
  const row = await rowOf(dock, project, input, {
    ...ownDomain(dock, project),
    name: host,
    created_at: now,
    updated_at: now,
  });
  const generation = await dock.traffic.change((state) => {
    refuseTaken(dock, state, project, host);
    return {
      ...pointing(state, row),
      write: async (tx) => {
        await tx.insertInto("project_domains").values(row).execute();
        const more = { domain: { name: host, projectId: project.id } };
        await dock.hooks.emit(tx, "project.domain.created", { projectId: project.id, more });
        await dock.hooks.emit(tx, "project.domain.verified", { projectId: project.id, more });
      },
    };
  });
  await dock.publisher.served(generation);
  return row;
}

export async function updateProjectDomain(
  dock: Dock,
  project: Project,
  name: string,
  input: DomainInput,
): Promise<ProjectDomainRow> {
  const before = await changeable(dock, project, name);
  const row = await rowOf(dock, project, input, { ...before, updated_at: dock.clock.now() });
  const generation = await dock.traffic.change((state) => ({
    ...pointing(state, row),
    write: async (tx) => {
      await tx.updateTable("project_domains").set(row).where("name", "=", row.name).execute();
      const more = { domain: { name: row.name, projectId: project.id } };
      await dock.hooks.emit(tx, "project.domain.updated", { projectId: project.id, more });
    },
  }));
  await dock.publisher.served(generation);
  return row;
}

export async function removeProjectDomain(dock: Dock, project: Project, name: string): Promise<void> {
  const row = await changeable(dock, project, name);
  const generation = await dock.traffic.change(() => ({
    removeAliases: [row.name],
    domainsInMemory: { remove: [row.name] },
    write: async (tx) => {
      await tx.deleteFrom("project_domains").where("name", "=", row.name).execute();
      const more = { domain: { name: row.name, projectId: project.id } };
      await dock.hooks.emit(tx, "project.domain.deleted", { projectId: project.id, more });
    },
  }));
  await dock.publisher.served(generation);
  dock.keeper.sweep();
}

/** To another project, where it follows production unless something else is said. */
export async function moveProjectDomain(
  dock: Dock,
  project: Project,
  name: string,
  to: { project: Project; input: DomainInput },
): Promise<ProjectDomainRow> {
  const before = await changeable(dock, project, name);
  const moved = { ...ownDomain(dock, to.project), name: before.name, created_at: before.created_at };
  const row = await rowOf(dock, to.project, to.input, { ...moved, updated_at: dock.clock.now() });
  const generation = await dock.traffic.change((state) => ({
    ...pointing(state, row),
    write: async (tx) => {
      await tx.updateTable("project_domains").set(row).where("name", "=", row.name).execute();
      const more = { domain: { name: row.name, projectId: to.project.id }, from: { id: project.id } };
      await dock.hooks.emit(tx, "project.domain.moved", { projectId: to.project.id, more });
    },
  }));
  await dock.publisher.served(generation);
  return row;
}

/** A host of the alias API leads to another one, or to its deployment again (null). */
export async function redirectAlias(dock: Dock, host: string, redirect: string | null): Promise<void> {
  const alias = dock.traffic.state.aliases.get(host);
  const known = dock.traffic.state.domains.get(host);
  if (!alias || (redirect === null && !known)) return;
  const project = await getProject(dock.db, alias.projectId);
  if (known) await updateProjectDomain(dock, project, host, { redirect });
  else await addProjectDomain(dock, project, host, { redirect });
}

async function changeable(dock: Dock, project: Project, name: string): Promise<ProjectDomainRow> {
  const row = await getProjectDomain(dock, project, name);
  if (row.name !== productionHost(project.name, dock.domain)) return row;
  throw new AppError("conflict", `${row.name} is the project's own host and stays as it is.`, {
    hint: "Rename the project to change it.",
  });
}

async function rowOf(
  dock: Dock,
  project: Project,
  input: DomainInput,
  before: ProjectDomainRow,
): Promise<ProjectDomainRow> {
  const redirect = input.redirect === undefined ? before.redirect : input.redirect;
  const to = redirect === null ? null : parseHost(redirect);
  if (redirect !== null && (to === null || to === before.name)) {
    throw new AppError("bad_request", `${before.name} cannot redirect to "${redirect.slice(0, 253)}".`);
  }
  const asked = input.customEnvironmentId;
  const environment = asked ? (await getEnvironment(dock.db, project, asked)).id : asked;
  const branch = input.gitBranch === undefined ? before.git_branch : input.gitBranch;
  const status = input.redirectStatusCode === undefined ? before.redirect_status : input.redirectStatusCode;
  return {
    ...before,
    redirect: to,
    redirect_status: to === null ? null : (status ?? 307),
    git_branch: branch === "" ? null : branch,
    custom_environment_id: environment === undefined ? before.custom_environment_id : environment,
  };
}

function refuseTaken(dock: Dock, state: TrafficState, project: Project, host: string): void {
  const holder = state.domains.get(host);
  const alias = state.aliases.get(host);
  const isImmutable = [...state.releases.values()].some((release) => release.host === host);
  const isOwn = host === productionHost(project.name, dock.domain);
  if (!holder && !isImmutable && !isOwn && (!alias || alias.projectId === project.id)) return;
  throw inUse(host, holder?.projectId ?? alias?.projectId);
}

function inUse(host: string, projectId: string | undefined): VercelError {
  return new VercelError("conflict", "domain_already_in_use", `The domain ${host} is in use already.`, {
    hint: "Remove it there first, or move it.",
    fields: { domain: { name: host, projectId } },
  });
}

/** The domain as memory has it, and its alias to what it follows, if that is there. */
function pointing(
  state: TrafficState,
  row: ProjectDomainRow,
): Pick<Change, "setAliases" | "removeAliases" | "domainsInMemory"> {
  const domainsInMemory = { set: [[row.name, domainOf(row)] as const] };
  const target = followed(state, row);
  if (!target) return { removeAliases: [row.name], domainsInMemory };
  return { setAliases: [{ host: row.name, ...target }], domainsInMemory };
}

function followed(state: TrafficState, row: ProjectDomainRow): AliasTarget | null {
  const projectId = row.project_id;
  if (row.git_branch === null && row.custom_environment_id === null) {
    const production = productionOf(state, projectId);
    return production ? { deploymentId: production.deploymentId, projectId, kind: "production" } : null;
  }
  // What the project's own host of that branch or environment points to.
  const kind = row.custom_environment_id === null ? "branch" : "environment";
  const newest = [...state.releases.values()]
    .filter((release) => release.projectId === projectId)
    .filter((release) =>
      kind === "branch"
        ? release.target === "preview" && release.branch === row.git_branch
        : release.target === row.custom_environment_id,
    )
    .sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())[0];
  return newest ? { deploymentId: newest.id, projectId, kind } : null;
}
