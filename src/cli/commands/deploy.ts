import type { Arguments } from "../arguments.ts";
import { type Deployment, isSettled, publicUrl } from "../client/deployment.ts";
import { postOnce, type Triggered } from "../client/trigger.ts";
import type { Command } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { Interrupted, interruptible } from "../interrupt.ts";
import { chooseEnvironment, type Prepared, prepareSource, SOURCE_OPTIONS, triggerOf } from "../prepare.ts";
import { createProgress, type Progress } from "../terminal/progress.ts";
import { formatDuration } from "../terminal/quantity.ts";
import { createScreen } from "../terminal/screen.ts";
import { outcomeCode, tellVerdict, tellWaiting, waitsWithPeople, watchDeployment } from "../watch.ts";

export const deploy: Command = {
  name: "deploy",
  summary: "build a folder or a git ref, prove it, and move traffic to it",
  positionals: { usage: "[path | git URL]", max: 1 },
  options: {
    ...SOURCE_OPTIONS,
    detach: { type: "boolean", short: "d", help: "do not wait for the end" },
    wait: { type: "boolean", help: "wait for people too, where stderr is no terminal" },
    "no-wait": { type: "boolean", help: "exit 7 where it waits for a person (default without a terminal)" },
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
    const leave = !waitsWithPeople(context, args);
    const ended = await watchOrDetach(context, progress, triggered, { signal, leave });
    if (ended === null) return EXIT.detached;
    if (!isSettled(ended)) {
      tellWaiting(context, ended);
      if (context.json) context.printJson({ ...triggered, state: ended.state, deployment: ended });
      return EXIT.waiting;
    }
    return end(context, progress, ended, prepared, context.clock.monotonicMs() - startedMs);
  } finally {
    screen.close();
  }
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
  const body = triggerOf(args, environment, prepared);
  // One key for the whole invocation: a lost answer can be asked for again without a second deployment.
  return postOnce(context.api(), context.clock, "/api/deploy/trigger", body, context.ids("cli"));
}

function endDetached(context: Context, triggered: Triggered, prepared: Prepared): number {
  if (context.json) context.printJson({ ...triggered, sent: prepared.sent });
  else context.print(triggered.deploymentId);
  context.note(reattach(context, triggered.deploymentId));
  return EXIT.ok;
}

/** The deployment as it ended, or as it waits; null when the user left with Ctrl-C. */
async function watchOrDetach(
  context: Context,
  progress: Progress,
  triggered: Triggered,
  watching: { signal: AbortSignal; leave: boolean },
): Promise<Deployment | null> {
  try {
    return await watchDeployment(context, progress, triggered.deploymentId, watching);
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
