import { AppError } from "../foundation/errors.ts";
import { type Arguments, positiveNumber, usageError } from "./arguments.ts";
import { sendTree } from "./client/send-tree.ts";
import type { Trigger } from "./client/trigger.ts";
import { ENVIRONMENT_OPTION, PROJECT_OPTION } from "./command.ts";
import type { Context } from "./context.ts";
import type { Progress } from "./terminal/progress.ts";
import { formatBytes, formatCount } from "./terminal/quantity.ts";
import { readCommitTree } from "./tree/commit-tree.ts";
import { projectNameOf, projectNameOfUrl } from "./tree/project-name.ts";
import { resolveSource, type Source } from "./tree/source.ts";
import type { Tree } from "./tree/tree.ts";
import { readWorkingTree } from "./tree/working-tree.ts";

/** A source that the control plane knows all of, and what it is called. */
export type Prepared = {
  readonly project: string;
  readonly source: { readonly tree: string } | { readonly git: string };
  readonly branch: string | null;
  readonly commit: string | null;
  readonly message: string | null;
  readonly dirty: boolean;
  /** What went over the wire. */
  readonly sent: { readonly files: number; readonly sentFiles: number; readonly sentBytes: number };
};

type Folder = Extract<Source, { kind: "folder" }>;

const NOTHING_SENT = { files: 0, sentFiles: 0, sentBytes: 0 };

/** The options of commands that say what to deploy, and where to. */
export const SOURCE_OPTIONS = {
  env: { ...ENVIRONMENT_OPTION, help: "preview (default), staging or production" },
  branch: {
    type: "string",
    short: "b",
    value: "name",
    help: "this branch's commit, not the folder's files",
  },
  commit: {
    type: "string",
    short: "c",
    value: "ref",
    help: "this commit; with --branch: under that name",
  },
  "pull-request": {
    type: "string",
    value: "number",
    help: "as the preview of this pull request, whatever the branch",
  },
  project: { ...PROJECT_OPTION, help: "default: name in signalbox.yaml, package.json, or the folder's" },
  message: { type: "string", short: "m", value: "text", help: "default: the commit's first line" },
  force: { type: "boolean", short: "f", help: "build again although the same files were built before" },
} as const;

/** @throws usage error for a pull request anywhere but in a preview, before anything is sent. */
export function chooseEnvironment(context: Context, args: Arguments): string {
  const environment = args.text("env");
  const pullRequest = positiveNumber(args, "pull-request");
  if (pullRequest !== null && environment !== null && environment !== "preview") {
    throw usageError(
      `A pull request has previews; it is not deployed to ${environment}.`,
      `Leave one of them out: signalbox deploy --pull-request ${pullRequest}`,
    );
  }
  if (environment !== null) return environment;
  if (pullRequest === null) {
    context.note(context.paint.dim("No --env given: deploying to preview. For users: --env production"));
  }
  return "preview";
}

/** What a trigger and a plan are asked with. */
export function triggerOf(args: Arguments, environment: string, prepared: Prepared): Trigger {
  const { project, source, branch, commit, message, dirty } = prepared;
  const pullRequest = positiveNumber(args, "pull-request");
  return {
    project,
    environment,
    source,
    ...(branch === null ? {} : { branch }),
    ...(pullRequest === null ? {} : { pullRequest }),
    ...(commit === null ? {} : { commit }),
    ...(message === null ? {} : { message }),
    ...(dirty ? { dirty } : {}),
    ...(args.flag("force") ? { force: true } : {}),
  };
}

/** Finds out what is meant, makes the project if it is new, and sends the files that the control plane misses. */
export async function prepareSource(
  context: Context,
  args: Arguments,
  progress: Progress,
  signal: AbortSignal,
): Promise<Prepared> {
  const source = await resolveSource({
    cwd: context.io.cwd,
    named: args.positionals[0] ?? null,
    branch: args.text("branch"),
    commit: args.text("commit"),
    message: args.text("message"),
  });
  signal.throwIfAborted();
  if (source.kind === "git") {
    const project = args.text("project") ?? projectNameOfUrl(source.url);
    await ensureProject(context, project, signal);
    const { url: git, branch, commit } = source;
    const message = args.text("message");
    return { project, source: { git }, branch, commit, message, dirty: false, sent: NOTHING_SENT };
  }
  return sendFolder(context, args, progress, source, signal);
}

async function sendFolder(
  context: Context,
  args: Arguments,
  progress: Progress,
  source: Folder,
  signal: AbortSignal,
): Promise<Prepared> {
  const tree = await readTree(context, progress, source);
  try {
    signal.throwIfAborted();
    if (tree.files.length === 0) throw nothingToSend(source);
    const project = args.text("project") ?? (await projectNameOf(source.root, tree.config));
    await ensureProject(context, project, signal);
    const sent = await send(context, progress, project, tree, signal);
    const { branch, commit, message, dirty } = source;
    return { project, source: { tree: sent.tree }, branch, commit, message, dirty, sent: sent.counts };
  } finally {
    tree.close();
  }
}

async function readTree(context: Context, progress: Progress, source: Folder): Promise<Tree> {
  const { cacheDir, clock } = context;
  const step = progress.step("Reading files");
  const onProgress = (done: number, total: number) =>
    step.update(`Reading ${formatCount(total, "file")}`, total === 0 ? 0 : done / total);
  const { root, treeOf } = source;
  const tree =
    treeOf === null
      ? await readWorkingTree({ root, cacheDir, clock, onProgress })
      : await readCommitTree({ root, commit: treeOf, cacheDir, onProgress });
  const what =
    treeOf === null ? (source.dirty ? " with changes not committed" : "") : ` of ${treeOf.slice(0, 7)}`;
  step.done(`Read ${formatCount(tree.files.length, "file")}${what}, ${formatBytes(tree.bytes)}`);
  return tree;
}

async function ensureProject(context: Context, name: string, signal: AbortSignal): Promise<void> {
  await context.api().post("/api/projects", { name }, { signal });
}

async function send(
  context: Context,
  progress: Progress,
  project: string,
  tree: Tree,
  signal: AbortSignal,
): Promise<{ tree: string; counts: Prepared["sent"] }> {
  const step = progress.step("Comparing with what was sent before");
  const sent = await sendTree({
    api: context.api(),
    project,
    tree,
    signal,
    onProgress: (done, total, files) =>
      step.update(
        `Sending ${formatCount(files, "file")}, ${formatBytes(done)} of ${formatBytes(total)}`,
        total === 0 ? 1 : done / total,
      ),
  });
  const files = tree.files.length;
  step.done(
    sent.sentFiles === 0
      ? "Nothing to send: every file is there already"
      : `Sent ${formatCount(sent.sentFiles, "file")}, ${formatBytes(sent.sentBytes)}`,
  );
  const { sentFiles, sentBytes } = sent;
  return { tree: sent.tree, counts: { files, sentFiles, sentBytes } };
}

function nothingToSend(source: Folder): AppError {
  const where = source.treeOf === null ? source.root : `${source.root} at ${source.treeOf.slice(0, 7)}`;
  return new AppError(
    "not_found",
    `There is nothing to deploy in ${where}: it has no files, or all are ignored.`,
    {
      hint: "Name the app's folder: `signalbox deploy <path>`. node_modules, .env* and what .gitignore says stay out.",
    },
  );
}
