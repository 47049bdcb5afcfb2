import type { Readable } from "node:stream";
import type { CheckRules } from "../checks/index.ts";
import type { Preparation, PrepareInput, SchemaChange, ServicePreparation } from "../deployments/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { requireMigrations } from "../schema/index.ts";
import {
  type FetchedCommit,
  forgetUploaded,
  missingFiles,
  readMigrationFiles,
  readTree,
  rememberUploaded,
  type Source,
  type SourceTables,
  type Wanted,
} from "../sources/index.ts";
import type { PlatformSettings, Target, TreeFile } from "../targets/target.ts";
import { serviceInputs } from "./inputs.ts";
import { CONFIG_FILE, MAX_CONFIG_BYTES, requireConfig } from "./parse-config.ts";
import { type ConfigPlan, type MigrationsPlan, ONLY_SERVICE, resolvePlan, type ServicePlan } from "./plan.ts";
import { claimTargetProject, getProject, type Project, setTargetProject } from "./queries.ts";
import type { ProjectTables } from "./tables.ts";

export type PrepareDeps = {
  readonly db: Database<ProjectTables & SourceTables>;
  readonly clock: Clock;
  readonly target: Target;
  readonly git: Source;
  /** What checks may be written in a configuration. Left out: their settings are not looked at. */
  readonly checkRules?: CheckRules;
};

export type Code = Pick<Preparation, "files" | "branch" | "commit"> & { readonly config: string | null };

/**
 * Turns what was asked for into what to build: the tree, what its own `signalbox.yaml` says for the environment, and
 * the projects at the target. A git source is fetched and its files are sent. Idempotent.
 * @throws AppError `unprocessable`, `not_found` or `bad_request` for the user's mistakes; anything else may be retried.
 */
export function prepare(deps: PrepareDeps) {
  return async (input: PrepareInput, signal: AbortSignal): Promise<Preparation> => {
    const project = await getProject(deps.db, input.project);
    const code = await readCode(deps, project, input, signal);
    const config = planFor(code, input);
    const { services: planned, migrations, env: _, ...plan } = config;
    const services: ServicePreparation[] = [];
    for (const service of planned) {
      const targetProject = targetName(project, config, service);
      const { name, settings, env, health, platform } = service;
      const at = { name: targetProject, platform };
      const targetProjectId = await ensureTargetProject(deps, project, at, signal);
      const inputs = serviceInputs(code.files, planned, service);
      services.push({ name, targetProject, targetProjectId, settings, platform, env, health, inputs });
    }
    const { files, branch, commit } = code;
    const schema = migrations && schemaChange(migrations, files);
    if (migrations) await checkMigrations(deps, input, code, migrations, signal);
    return { files, services, plan: { ...plan, schema }, branch, commit };
  };
}

/** What the commit's configuration says for the place; a preview's variables may name it. */
export function planFor(code: Pick<Code, "config">, input: PrepareInput): ConfigPlan {
  const plan = resolvePlan(requireConfig(code.config), input.environment);
  if (input.environment !== "preview") return plan;
  const fill = (env: Readonly<Record<string, string>>) => previewVariables(env, input);
  const services = plan.services.map((service) => ({ ...service, env: fill(service.env) }));
  return { ...plan, services, env: fill(plan.env) };
}

/** `${PULL_REQUEST}` and `${BRANCH}` (as a name of a database would have it), so that each preview has its own. */
function previewVariables(
  env: Readonly<Record<string, string>>,
  { pullRequest, branch }: PrepareInput,
): Record<string, string> {
  const values: Record<string, string> = {
    PULL_REQUEST: pullRequest === null ? "" : String(pullRequest),
    BRANCH: (branch ?? "").toLowerCase().replace(/[^a-z0-9]+/g, "_"),
  };
  const fill = (text: string) =>
    text.replace(/\$\{(PULL_REQUEST|BRANCH)\}/g, (_, name) => values[name] ?? "");
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, fill(value)]));
}

/** Of a configuration that names no services the project itself; else one project of the target for each. */
export function targetName(project: Project, { services }: ConfigPlan, { name }: ServicePlan): string {
  return services.length === 1 && name === ONLY_SERVICE ? project.name : `${project.name}-${name}`;
}

function schemaChange(migrations: MigrationsPlan, files: readonly TreeFile[]): SchemaChange {
  const { expandDir, contractDir, timeoutMs, hold } = migrations;
  return {
    expand: migrationsIn(files, expandDir),
    contract: migrationsIn(files, contractDir),
    timeoutMs,
    hold,
  };
}

/**
 * Reads every migration of the commit, so that a mistake in one is told before anything is built. Those of a git source
 * are kept with us from then on: a contract may be due in weeks.
 */
async function checkMigrations(
  deps: PrepareDeps,
  { source }: PrepareInput,
  { files, commit }: Code,
  { expandDir, contractDir }: MigrationsPlan,
  signal: AbortSignal,
): Promise<void> {
  const at = { source, sha: commit.sha, files };
  const [expand, contract] = await Promise.all([
    readMigrationFiles(deps, { ...at, dir: expandDir }, signal),
    readMigrationFiles(deps, { ...at, dir: contractDir }, signal),
  ]);
  requireMigrations({ expand, contract });
}

/** Names of the .sql files directly in a folder, in byte order. */
export function migrationsIn(files: readonly TreeFile[], folder: string | null): string[] {
  if (folder === null) return [];
  const prefix = `${folder.replace(/^\.\/|\/+$/g, "")}/`;
  return files
    .filter(({ path }) => path.startsWith(prefix) && path.endsWith(".sql"))
    .map(({ path }) => path.slice(prefix.length))
    .filter((name) => !name.includes("/"))
    .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/**
 * For when the target asks for files that it was thought to have. Files of a git source are sent again; those of a tree
 * are with whoever sent it. @throws AppError `unprocessable` that says to deploy again.
 */
export function reupload(deps: PrepareDeps) {
  return async (input: PrepareInput, missing: readonly string[], signal: AbortSignal): Promise<void> => {
    await forgetUploaded(deps.db, missing);
    if ("tree" in input.source) {
      throw new AppError("unprocessable", `The target has lost ${missing.length} of the tree's files.`, {
        hint: "Run `signalbox deploy` again; it sends them anew.",
      });
    }
    const url = input.source.git;
    const { id: projectId } = await getProject(deps.db, input.project);
    const commit = await fetchCommit(deps, { projectId, url }, input, signal);
    await sendFiles(deps, { url, sha: commit.sha, sha1s: new Set(missing) }, signal);
  };
}

export async function readCode(
  deps: PrepareDeps,
  project: Project,
  input: PrepareInput,
  signal: AbortSignal,
): Promise<Code> {
  if ("tree" in input.source) {
    const tree = await readTree(deps.db, project.id, input.source.tree);
    return { ...tree, branch: input.branch, commit: input.commit };
  }
  const url = input.source.git;
  const fetched = await fetchCommit(deps, { projectId: project.id, url }, input, signal);
  const at = { url, sha: fetched.sha, path: CONFIG_FILE, maxBytes: MAX_CONFIG_BYTES };
  const config = await deps.git.readText(at, signal);
  // Its mistakes are told before anything is sent.
  const { services } = resolvePlan(requireConfig(config, deps.checkRules), input.environment);
  // A target that fetches the commit itself asks for what it lacks, should it want files after all.
  if (services.some(({ platform }) => platform.source === "files")) {
    const missing = await missingFiles(deps.db, fetched.files, deps.clock.now());
    await sendFiles(deps, { url, sha: fetched.sha, sha1s: new Set(missing) }, signal);
  }
  const message = input.commit.message ?? fetched.message;
  return {
    files: fetched.files,
    config,
    branch: input.branch ?? fetched.branch,
    commit: { sha: fetched.sha, message, dirty: false },
  };
}

function fetchCommit(
  deps: PrepareDeps,
  repository: Pick<Wanted, "projectId" | "url">,
  input: PrepareInput,
  signal: AbortSignal,
): Promise<FetchedCommit> {
  return deps.git.fetch({ ...repository, branch: input.branch, commit: input.commit.sha }, signal);
}

async function sendFiles(
  deps: PrepareDeps,
  at: { url: string; sha: string; sha1s: ReadonlySet<string> },
  signal: AbortSignal,
): Promise<void> {
  if (at.sha1s.size === 0) return;
  const send = async (file: { sha1: string; size: number; body: Readable }) => {
    await deps.target.upload(file, signal);
    await rememberUploaded(deps.db, file, deps.clock.now());
  };
  await deps.git.readFiles(at, send, signal);
}

/** Asked every time: a project that was deleted at the target is made anew, and two small reads are cheap. */
async function ensureTargetProject(
  deps: PrepareDeps,
  project: Project,
  { name, platform }: { readonly name: string; readonly platform: PlatformSettings },
  signal: AbortSignal,
): Promise<string> {
  const owner = await claimTargetProject(deps.db, name, project.id);
  if (owner !== project.id) {
    throw new AppError("unprocessable", `"${name}" is the name of another project, so its hosts are taken.`, {
      hint: "Rename the service in signalbox.yaml, or that project.",
    });
  }
  const { targetProjectId } = await deps.target.ensureProject(name, signal, platform);
  if (name === project.name && targetProjectId !== project.targetProjectId)
    await setTargetProject(deps.db, project.id, targetProjectId);
  return targetProjectId;
}
