import type { Arguments } from "../arguments.ts";
import type { Command } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { interruptible } from "../interrupt.ts";
import { chooseEnvironment, prepareSource, SOURCE_OPTIONS, triggerOf } from "../prepare.ts";
import { type Plan, planLines } from "../terminal/plan-view.ts";
import { createProgress } from "../terminal/progress.ts";
import { createScreen } from "../terminal/screen.ts";

export const plan: Command = {
  name: "plan",
  summary: "show what a deploy would do, and what downtime to expect; deploys nothing",
  positionals: { usage: "[path | git URL]", max: 1 },
  options: SOURCE_OPTIONS,
  examples: ["signalbox plan --env production", "signalbox plan . --env production --json"],
  run: (context, args) => interruptible(context.io, (signal) => runPlan(context, args, signal)),
};

async function runPlan(context: Context, args: Arguments, signal: AbortSignal): Promise<number> {
  const screen = createScreen(context.io);
  const progress = createProgress({ ...context, screen, isTTY: context.io.isTTY });
  try {
    const environment = chooseEnvironment(context, args);
    const prepared = await prepareSource(context, args, progress, signal);
    const body = triggerOf(args, environment, prepared);
    const told = await context.api().post<Plan>("/api/deploy/plan", body, { signal });
    progress.stop();
    if (context.json) context.printJson(told);
    else for (const line of planLines(told, context.paint)) context.print(line);
    return EXIT.ok;
  } finally {
    screen.close();
  }
}
