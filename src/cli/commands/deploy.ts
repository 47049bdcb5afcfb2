import type { Arguments } from "../arguments.ts";
import { type Deployment, publicUrl } from "../client/deployment.ts";
import { postOnce, type Trigger, type Triggered } from "../client/trigger.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { Interrupted, interruptible } from "../interrupt.ts";
import { type Prepared, prepareSource } from "../prepare.ts";
import { createProgress, type Progress } from "../terminal/progress.ts";
import { formatDuration } from "../terminal/quantity.ts";
import { createScreen } from "../terminal/screen.ts";
import { outcomeCode, tellVerdict, watchDeployment } from "../watch.ts";

export const deploy: Command = {
  name: "deploy",
  summary: "build a folder or a git ref, prove it, and move traffic to it",
  positionals: { usage: "[path | git URL]", max: 1 },
  options: {
    env: { ...ENVIRONMENT_OPTION, help: "preview (default), staging or production" },
    branch: {
      type: "string",
      short: "b",
      value: "name",
      help: "deploy this branch's commit, not the folder's files",
    },
    commit: {
      type: "string",
      short: "c",
      value: "ref",
      help: "deploy this commit; with --branch: under that name",
    },
    project: { ...PROJECT_OPTION, help: "default: name in signalbox.yaml, package.json, or the folder's" },
    message: { type: "string", short: "m", value: "text", help: "default: the commit's first line" },
    force: { type: "boolean", short: "f", help: "build again although the same files were built before" },
    detach: { type: "boolean", short: "d", help: "do not wait for the end" },
  },
  examples: [
    "signalbox deploy",
    "signalbox deploy . --env production",
    "signalbox deploy --env staging --branch main",
    "signalbox deploy https://git.example.com/shop.git --env production --commit v1.4.0",
  ],
  run: (context, args) => interruptible(context.io, (signal) => runDeploy(context, args, signal)),
};

async function runDeploy(context: Context, args: Arguments, signal: AbortSignal): Promise<number> {
  const startedMs = context.clock.monotonicMs();
  const screen = createScreen(context.io);
  const progress = createProgress({ ...context, screen, isTTY: context.io.isTTY });
  try {
    const environment = chooseEnvironment(context, args);
    const prepared = await beforeTrigger(context, () => prepareSource(context, args, progress, signal));
    const triggered = await trigger(context, args, environment, prepared);
    const { project } = triggered;
    progress.note(
      `${context.paint.green("✓")} Deploying ${context.paint.bold(project)} to ${environment}  ` +
        context.paint.dim(triggered.deploymentId),
    );
    if (args.flag("detach")) return endDetached(context, triggered, prepared);
    const ended = await watchOrDetach(context, progress, triggered, signal);
    if (ended === null) return EXIT.detached;
    return end(context, progress, ended, prepared, context.clock.monotonicMs() - startedMs);
  } finally {
    screen.close();
  }
}

function chooseEnvironment(context: Context, args: Arguments): string {
  const environment = args.text("env");
  if (environment !== null) return environment;
  context.note(context.paint.dim("No --env given: deploying to preview. For users: --env production"));
  return "preview";
}

/** Until the trigger, Ctrl-C leaves nothing behind but files that the next run need not send again. */
async function beforeTrigger<T>(context: Context, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Interrupted) context.note("Stopped before anything was deployed.");
    throw error;
  }
}

function trigger(
  context: Context,
  args: Arguments,
  environment: string,
  prepared: Prepared,
): Promise<Triggered> {
  const { project, source, branch, commit, message, dirty } = prepared;
  const body: Trigger = {
    project,
    environment,
    source,
    ...(branch === null ? {} : { branch }),
    ...(commit === null ? {} : { commit }),
    ...(message === null ? {} : { message }),
    ...(dirty ? { dirty } : {}),
    ...(args.flag("force") ? { force: true } : {}),
  };
  // One key for the whole invocation: a lost answer can be asked for again without a second deployment.
  return postOnce(context.api(), context.clock, "/api/deploy/trigger", body, context.ids("cli"));
}

function endDetached(context: Context, triggered: Triggered, prepared: Prepared): number {
  if (context.json) context.printJson({ ...triggered, sent: prepared.sent });
  else context.print(triggered.deploymentId);
  context.note(reattach(context, triggered.deploymentId));
  return EXIT.ok;
}

/** The deployment as it ended; null when the user left with Ctrl-C. */
async function watchOrDetach(
  context: Context,
  progress: Progress,
  triggered: Triggered,
  signal: AbortSignal,
): Promise<Deployment | null> {
  try {
    return await watchDeployment(context, progress, triggered.deploymentId, signal);
  } catch (error) {
    if (!(error instanceof Interrupted)) {
      context.note(reattach(context, triggered.deploymentId));
      throw error;
    }
    context.note(`Detached. The deployment of ${triggered.project} goes on.`);
    context.note(reattach(context, triggered.deploymentId));
    if (context.json) context.printJson({ ...triggered, detached: true });
    return null;
  }
}

function reattach({ paint }: Context, id: string): string {
  const watch = paint.cyan(`signalbox status ${id} --watch`);
  return `  watch it:   ${watch}\n  cancel it:  ${paint.cyan(`signalbox cancel ${id}`)}`;
}

function end(
  context: Context,
  progress: Progress,
  ended: Deployment,
  prepared: Prepared,
  durationMs: number,
): number {
  const code = outcomeCode(ended);
  tellVerdict(context, progress, ended, formatDuration(durationMs));
  if (context.json) {
    const { id, project, environment, state, url, urls, reused } = ended;
    context.printJson({
      deploymentId: id,
      project,
      environment,
      state,
      url,
      urls,
      reused,
      durationMs: Math.round(durationMs),
      sent: prepared.sent,
      deployment: ended,
      ...(code === EXIT.ok ? {} : { logTail: progress.tail() }),
    });
  } else if (code === EXIT.ok) context.print(publicUrl(ended) ?? ended.id);
  return code;
}
