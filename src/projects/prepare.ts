import type { Readable } from "node:stream";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import {
  type FetchedCommit,
  forgetUploaded,
  missingFiles,
  readTree,
  rememberUploaded,
  type Source,
  type SourceTables,
} from "../sources/index.ts";
import type { BuildInput, EnvironmentName, Target, TreeFile } from "../targets/target.ts";
import { CONFIG_FILE, MAX_CONFIG_BYTES, requireConfig } from "./parse-config.ts";
import { type HealthPolicy, resolvePlan, type Strategy } from "./plan.ts";
import { getProject, type Project, setTargetProject } from "./queries.ts";
import type { ProjectTables } from "./tables.ts";

export type PrepareDeps = {
  readonly db: Database<ProjectTables & SourceTables>;
  readonly clock: Clock;
  readonly target: Target;
  readonly git: Source;
};

type Commit = { readonly sha: string | null; readonly message: string | null; readonly dirty: boolean };

export type PrepareInput = {
  readonly deploymentId: string;
  readonly project: string;
  readonly environment: EnvironmentName;
  readonly source: { readonly tree: string } | { readonly git: string };
  readonly branch: string | null;
  readonly commit: Commit;
};

export type Preparation = {
  readonly files: readonly TreeFile[];
  readonly settings: BuildInput["settings"];
  readonly env: Readonly<Record<string, string>>;
  readonly strategy: Strategy;
  readonly health: HealthPolicy;
  readonly branch: string | null;
  readonly commit: Commit;
  readonly targetProjectId: string;
};

type Code = Pick<Preparation, "files" | "branch" | "commit"> & { readonly config: string | null };

/**
 * Turns what was asked for into what to build: the tree, what its own `signalbox.yaml` says for the environment, and
 * the project at the target. A git source is fetched and its files are sent. Idempotent.
 * @throws AppError `unprocessable`, `not_found` or `bad_request` for the user's mistakes; anything else may be retried.
 */
export function prepare(deps: PrepareDeps) {
  return async (input: PrepareInput, signal: AbortSignal): Promise<Preparation> => {
    const project = await getProject(deps.db, input.project);
    const code = await readCode(deps, project, input, signal);
    const plan = resolvePlan(requireConfig(code.config), input.environment);
    const targetProjectId = await ensureTargetProject(deps, project, signal);
    return { ...plan, files: code.files, branch: code.branch, commit: code.commit, targetProjectId };
  };
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
    const commit = await fetchCommit(deps, url, input, signal);
    await sendFiles(deps, { url, sha: commit.sha, sha1s: new Set(missing) }, signal);
  };
}

async function readCode(
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
  const fetched = await fetchCommit(deps, url, input, signal);
  const at = { url, sha: fetched.sha, path: CONFIG_FILE, maxBytes: MAX_CONFIG_BYTES };
  const config = await deps.git.readText(at, signal);
  // Its mistakes are told before anything is sent.
  requireConfig(config);
  const missing = await missingFiles(deps.db, fetched.files, deps.clock.now());
  await sendFiles(deps, { url, sha: fetched.sha, sha1s: new Set(missing) }, signal);
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
  url: string,
  input: PrepareInput,
  signal: AbortSignal,
): Promise<FetchedCommit> {
  return deps.git.fetch({ url, branch: input.branch, commit: input.commit.sha }, signal);
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
  signal: AbortSignal,
): Promise<string> {
  const { targetProjectId } = await deps.target.ensureProject(project.name, signal);
  if (targetProjectId !== project.targetProjectId)
    await setTargetProject(deps.db, project.id, targetProjectId);
  return targetProjectId;
}
