import { requirePositional } from "../arguments.ts";
import { currentDeployments } from "../client/current.ts";
import { type Deployment, isSettled, listPath, publicUrl } from "../client/deployment.ts";
import { readStatus } from "../client/follow.ts";
import { outsideNotes, readOutside } from "../client/outside.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { Interrupted, interruptible } from "../interrupt.ts";
import { commitText, deploymentLines, stateText } from "../terminal/deployment-view.ts";
import { createProgress } from "../terminal/progress.ts";
import { formatAge, formatDuration } from "../terminal/quantity.ts";
import { createScreen } from "../terminal/screen.ts";
import { formatTable } from "../terminal/table.ts";
import { outcomeCode, tellVerdict, tellWaiting, waitsWithPeople, watchDeployment } from "../watch.ts";

export const status: Command = {
  name: "status",
  summary: "what serves where; or one deployment in detail",
  positionals: { usage: "[deployment]", max: 1 },
  options: {
    watch: { type: "boolean", short: "w", help: "follow to the end; the exit code is the deployment's" },
    wait: { type: "boolean", help: "with --watch: wait for people too, where stderr is no terminal" },
    "no-wait": { type: "boolean", help: "with --watch: exit 7 where it waits for a person" },
    project: { ...PROJECT_OPTION, help: "only this project" },
    env: { ...ENVIRONMENT_OPTION, help: "only this environment" },
  },
  examples: ["signalbox status", "signalbox status dep_… --watch"],
  async run(context, args) {
    const filters = { project: args.text("project"), environment: args.text("env") };
    const named = args.positionals[0] ?? null;
    if (args.flag("watch")) {
      const id = named ?? (await newestInProgress(context, filters));
      const leave = !waitsWithPeople(context, args);
      if (id !== null) return interruptible(context.io, (signal) => watch(context, id, { signal, leave }));
      context.note("Nothing is being deployed.");
    }
    if (named === null) return showAll(context, filters);
    return showOne(context, requirePositional(status, args, "the id of a deployment"));
  },
};

type Filters = { project: string | null; environment: string | null };

async function showOne(context: Context, id: string): Promise<number> {
  const { deployment } = await readStatus(context.api(), id, Number.MAX_SAFE_INTEGER);
  if (context.json) context.printJson({ deployment });
  else {
    const lines = deploymentLines(deployment, context.clock.now(), context.paint);
    for (const line of lines) context.print(line);
  }
  return EXIT.ok;
}

async function showAll(context: Context, filters: Filters): Promise<number> {
  const current = await currentDeployments(context.api(), filters);
  if (context.json) {
    context.printJson({ deployments: current });
    return EXIT.ok;
  }
  if (current.length === 0) context.note("Nothing is deployed yet. Begin with `signalbox deploy`.");
  else {
    const header = ["PROJECT", "ENV", "STATE", "AGE", "COMMIT", "DEPLOYMENT", "URL"];
    const rows = current.map((deployment) => row(context, deployment));
    for (const line of formatTable(header, rows, context.paint)) context.print(line);
    const shown = new Set(current.map(({ project }) => project));
    const watches = (await readOutside(context)).filter(({ project }) => shown.has(project));
    for (const note of outsideNotes(watches, context.clock.now())) context.note(note);
  }
  return EXIT.ok;
}

function row({ clock, paint }: Context, deployment: Deployment): string[] {
  const of = deployment.pullRequest ? `#${deployment.pullRequest}` : deployment.branch;
  return [
    deployment.project,
    deployment.environment === "preview" && of !== null ? `preview (${of})` : deployment.environment,
    deployment.blocked ? paint.yellow(`${deployment.state} (blocked)`) : stateText(deployment.state, paint),
    formatAge(deployment.createdAt, clock.now()),
    commitText(deployment),
    deployment.id,
    publicUrl(deployment) ?? "-",
  ];
}

async function newestInProgress(context: Context, filters: Filters): Promise<string | null> {
  const { deployments } = await context
    .api()
    .get<{ deployments: Deployment[] }>(listPath({ ...filters, limit: 50 }));
  return deployments.find((deployment) => !isSettled(deployment))?.id ?? null;
}

async function watch(
  context: Context,
  id: string,
  watching: { signal: AbortSignal; leave: boolean },
): Promise<number> {
  const screen = createScreen(context.io);
  const progress = createProgress({ ...context, screen, isTTY: context.io.isTTY });
  try {
    const ended = await watchDeployment(context, progress, id, watching);
    if (!isSettled(ended)) {
      tellWaiting(context, ended);
      if (context.json) context.printJson({ deployment: ended });
      return EXIT.waiting;
    }
    const tookMs =
      new Date(ended.finishedAt ?? ended.updatedAt).getTime() - new Date(ended.createdAt).getTime();
    tellVerdict(context, progress, ended, formatDuration(tookMs));
    if (context.json) context.printJson({ deployment: ended });
    else if (outcomeCode(ended) === EXIT.ok) context.print(publicUrl(ended) ?? ended.id);
    return outcomeCode(ended);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    context.note(`Stopped watching. Whatever ${id} was doing goes on.`);
    return EXIT.detached;
  } finally {
    screen.close();
  }
}
