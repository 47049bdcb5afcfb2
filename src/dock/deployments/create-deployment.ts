import { AppError } from "../../foundation/errors.ts";
import { beginRuns } from "../checks/runs.ts";
import type { Dock } from "../dock.ts";
import { immutableHost } from "../hosts.ts";
import { ensureProject } from "../projects/create-project.ts";
import { matchesBranch } from "../projects/custom-environments.ts";
import {
  type CustomEnvironment,
  findEnvironment,
  findProject,
  getEnvironment,
  getProject,
  listEnvironments,
  type Project,
} from "../projects/queries.ts";
import type { GitMetadata, ProjectSettings } from "../rows.ts";
import type { TreeFile } from "../store/store.ts";
import { buildDeployment, buildRequest, releaseReused } from "./build-deployment.ts";
import { branchOf, type DeploymentRequest, mergeSettings } from "./deployment-request.ts";
import { type DeploymentView, getDeployment } from "./queries.ts";
import { loadTree, readTree, saveTree } from "./tree.ts";
import { unpackArchive } from "./unpack-archive.ts";
import { deploymentEnv, sealEnv } from "./variables-of.ts";

export type CreateOptions = {
  /** Build although the same inputs were built before. */
  readonly force: boolean;
  readonly prebuilt: boolean;
};
export type Created =
  | { readonly kind: "created"; readonly deployment: DeploymentView }
  | { readonly kind: "missing_files"; readonly missing: readonly string[] };

/** What is to be built, whether it was sent or taken over from an earlier deployment. */
type Source = {
  readonly files: readonly TreeFile[];
  readonly settings: ProjectSettings;
  readonly meta: Readonly<Record<string, string>>;
  readonly git: GitMetadata | null;
  readonly branch: string | null;
  readonly prebuilt: boolean;
};

/**
 * Takes a deployment in: it is in the line for a build when this resolves, or, where the same inputs were built before,
 * READY (static) or starting (server).
 */
export async function createDeployment(
  dock: Dock,
  request: DeploymentRequest,
  options: CreateOptions,
): Promise<Created> {
  const sent = await resolveSource(dock, request, options);
  const missing = await dock.store.missing(sent.files.map((file) => file.sha1));
  if (missing.length > 0) return { kind: "missing_files", missing };
  const source = { ...sent, files: await unpackArchive(dock.store, sent.files) };
  const project = await resolveProject(dock, request);
  const environment = await resolveEnvironment(dock, project, request);
  const id = await insert(dock, { request, options, source, project, environment });
  await start(dock, id, isInstant(request));
  return { kind: "created", deployment: await getDeployment(dock, id) };
}

// The CLI sends so few files inline, and shows the URL at once where the answer says READY.
const MOST_INSTANT = 10;

/** True for a handful of files that came with the request and need no build: they are served when it is answered. */
function isInstant({ files = [] }: DeploymentRequest): boolean {
  if (files.length === 0 || files.length > MOST_INSTANT) return false;
  return files.every((file) => "data" in file && /\.(html?|md|css|txt)$/i.test(file.file));
}

/** Reuses an earlier artifact at once, or gets into the line. */
async function start(dock: Dock, id: string, instant: boolean): Promise<void> {
  await dock.events.open(id);
  const row = await getDeployment(dock, id);
  // While files are collected an artifact that is found may be going; the line waits for the end of that.
  if (row.force || dock.queue.held()) return dock.queue.add(id);
  const { promise: settled, resolve, reject } = Promise.withResolvers<void>();
  const running = dock.queue.runNow(id, async (signal) => {
    const artifact = await dock.builder.lookup(await buildRequest(dock, row)).catch((error) => {
      dock.log.error({ err: error, deploymentId: id }, "the look for an earlier artifact failed; building");
      return null;
    });
    if (!artifact) return instant ? buildDeployment(dock, id, signal) : dock.queue.add(id);
    // A process takes a while to be up: the caller polls for that. Files are there at once.
    if (artifact.kind === "server") resolve();
    await releaseReused(dock, row, artifact, signal);
  });
  running.then(resolve, reject);
  await settled;
}

async function resolveSource(
  dock: Dock,
  request: DeploymentRequest,
  options: CreateOptions,
): Promise<Source> {
  if (request.files && request.files.length > 0) {
    return {
      files: await readTree(dock.store, request.files),
      settings: {},
      meta: {},
      git: request.gitMetadata ?? request.gitSource ?? null,
      branch: branchOf(request),
      prebuilt: options.prebuilt,
    };
  }
  if (!request.deploymentId) {
    throw new AppError("bad_request", "The deployment has no files.", {
      hint: "Send `files`, or the `deploymentId` of one to deploy again.",
    });
  }
  const earlier = await getDeployment(dock, request.deploymentId);
  return {
    files: await loadTree(dock.db, earlier.tree),
    settings: earlier.settings,
    meta: earlier.meta,
    git: earlier.git,
    branch: branchOf(request) ?? earlier.branch,
    prebuilt: earlier.prebuilt,
  };
}

async function resolveProject(dock: Dock, request: DeploymentRequest): Promise<Project> {
  if (request.project) {
    return (await findProject(dock.db, request.project)) ?? ensureNamed(dock, request.project);
  }
  if (request.name) return ensureProject(dock, request.name);
  if (request.deploymentId)
    return getProject(dock.db, (await getDeployment(dock, request.deploymentId)).project_id);
  throw new AppError("bad_request", "The deployment names no project.", {
    hint: "Send `project` or `name`.",
  });
}

function ensureNamed(dock: Dock, idOrName: string): Promise<Project> {
  return idOrName.startsWith("prj_") ? getProject(dock.db, idOrName) : ensureProject(dock, idOrName);
}

type Place = {
  readonly target: "production" | null;
  readonly environmentId: string | null;
  /** Of the custom environment. */
  readonly slug: string | null;
};

async function resolveEnvironment(dock: Dock, project: Project, request: DeploymentRequest): Promise<Place> {
  if (request.customEnvironmentSlugOrId) {
    const found = await getEnvironment(dock.db, project, request.customEnvironmentSlugOrId);
    return placeOf(found);
  }
  if (request.target === "production") return { target: "production", environmentId: null, slug: null };
  if (!request.target) return placeOf(await environmentOfBranch(dock, project, request));
  if (request.target === "preview") return placeOf(undefined);
  const found = await findEnvironment(dock.db, project.id, request.target);
  if (found) return placeOf(found);
  throw new AppError(
    "bad_request",
    `The target "${request.target}" is not one of the project "${project.name}".`,
    {
      hint: "Use production, preview, or the slug of a custom environment of the project.",
    },
  );
}

function placeOf(environment: CustomEnvironment | undefined): Place {
  return { target: null, environmentId: environment?.id ?? null, slug: environment?.slug ?? null };
}

/** A deployment of a Git host's branch that names no target goes where the branch belongs, as at Vercel. */
async function environmentOfBranch(
  dock: Dock,
  project: Project,
  request: DeploymentRequest,
): Promise<CustomEnvironment | undefined> {
  const branch = request.gitSource ? branchOf(request) : null;
  if (branch === null) return undefined;
  const environments = await listEnvironments(dock.db, project.id);
  return environments.find((one) => one.branch_matcher && matchesBranch(one.branch_matcher, branch));
}

async function insert(
  dock: Dock,
  input: {
    request: DeploymentRequest;
    options: CreateOptions;
    source: Source;
    project: Project;
    environment: Place;
  },
): Promise<string> {
  const { request, options, source, project, environment } = input;
  const id = dock.ids("dpl");
  const env = await deploymentEnv(
    dock,
    {
      projectId: project.id,
      target: environment.target ?? environment.environmentId ?? "preview",
      branch: source.branch,
    },
    { env: request.env, buildEnv: request.build.env },
  );
  const settings = mergeSettings({ ...project.settings, ...source.settings }, request);
  const row = {
    id,
    project_id: project.id,
    name: project.name,
    url: immutableHost(project.name, id, dock.domain),
    target: environment.target,
    custom_environment_id: environment.environmentId,
    branch: source.branch,
    state: "QUEUED" as const,
    auto_assign: request.autoAssignCustomDomains !== false,
    meta: JSON.stringify({ ...source.meta, ...request.meta }),
    git: source.git ? JSON.stringify(source.git) : null,
    settings: JSON.stringify(settings),
    tree: await saveTree(dock, source.files),
    prebuilt: source.prebuilt,
    force: options.force,
    env: sealEnv(dock, id, env),
    source: request.source ?? null,
    created_at: dock.clock.now(),
  };
  await dock.db.transaction().execute(async (tx) => {
    await tx.insertInto("deployments").values(row).execute();
    await dock.hooks.emit(tx, "deployment.created", { projectId: project.id, deploymentId: id });
    await beginRuns(dock, tx, { ...row, environmentSlug: environment.slug });
  });
  return id;
}
