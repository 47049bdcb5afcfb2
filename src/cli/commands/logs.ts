import { AppError } from "../../foundation/errors.ts";
import { type Deployment, type LogLine, listPath } from "../client/deployment.ts";
import { followDeployment, readStatus } from "../client/follow.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { Interrupted, interruptible } from "../interrupt.ts";
import { logText } from "../terminal/rollout-view.ts";
import { waitingLines } from "../terminal/waiting.ts";
import { outcomeCode } from "../watch.ts";

export const logs: Command = {
  name: "logs",
  summary: "the log of a deployment; of the newest one when none is named",
  positionals: { usage: "[deployment]", max: 1 },
  options: {
    follow: {
      type: "boolean",
      short: "f",
      help: "go on until the deployment is settled; exit with its outcome",
    },
    project: { ...PROJECT_OPTION, help: "the newest deployment of this project" },
    env: { ...ENVIRONMENT_OPTION, help: "the newest deployment of this environment" },
  },
  examples: [
    "signalbox logs",
    "signalbox logs dep_… --follow",
    "signalbox logs --json   # one JSON line each",
  ],
  async run(context, args) {
    const filters = { project: args.text("project"), environment: args.text("env") };
    const id = args.positionals[0] ?? (await newest(context, filters));
    if (args.flag("follow")) return interruptible(context.io, (signal) => follow(context, id, signal));
    return printAll(context, id);
  },
};

async function newest(
  context: Context,
  filters: { project: string | null; environment: string | null },
): Promise<string> {
  const { deployments } = await context
    .api()
    .get<{ deployments: Deployment[] }>(listPath({ ...filters, limit: 1 }));
  const found = deployments[0];
  if (found === undefined) {
    throw new AppError("not_found", "There is no deployment yet.", {
      hint: "Make one with `signalbox deploy`.",
    });
  }
  context.note(context.paint.dim(`${found.id}: ${found.project} to ${found.environment}, ${found.state}`));
  return found.id;
}

async function printAll(context: Context, id: string): Promise<number> {
  let after = 0;
  for (;;) {
    const answer = await readStatus(context.api(), id, after);
    for (const line of answer.logs) printLine(context, line, answer.deployment);
    const reached = answer.logs.at(-1)?.seq ?? after;
    if (reached <= after) return EXIT.ok;
    after = reached;
  }
}

async function follow(context: Context, id: string, signal: AbortSignal): Promise<number> {
  let known: Deployment | null = null;
  try {
    const ended = await followDeployment(
      { api: context.api(), clock: context.clock, id, signal },
      {
        deployment(deployment) {
          const before = known;
          known = deployment;
          tellWait(context, before, deployment);
        },
        log: (line) => printLine(context, line, known),
        lost: (error) => context.note(`${error.message} Trying again.`),
      },
    );
    context.note(context.paint.dim(`${id} is ${ended.state}.`));
    return outcomeCode(ended);
  } catch (error) {
    if (error instanceof Interrupted) return EXIT.detached;
    throw error;
  }
}

/** A log that stands still says why, once. */
function tellWait({ paint, note }: Context, before: Deployment | null, now: Deployment): void {
  const told = before === null ? "" : waitingLines(before, paint).join("\n");
  const lines = waitingLines(now, paint).join("\n");
  if (lines !== "" && lines !== told) note(lines);
}

function printLine(context: Context, line: LogLine, deployment: Deployment | null): void {
  if (context.json) context.printJson(line);
  else context.print(logText(line, deployment));
}
