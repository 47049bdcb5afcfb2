import { positiveNumber, usageError } from "../arguments.ts";
import { postOnce } from "../client/trigger.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { formatDuration } from "../terminal/quantity.ts";
import { createScreen } from "../terminal/screen.ts";

type RolledBack = {
  readonly deploymentId: string;
  readonly rolledBack: readonly string[];
  readonly state: string;
  readonly durationMs: number;
};

export const rollback: Command = {
  name: "rollback",
  summary: "put an earlier release back in service, without building",
  positionals: { usage: "[deployment]", max: 1 },
  options: {
    env: { ...ENVIRONMENT_OPTION, help: "required: which environment" },
    project: { ...PROJECT_OPTION, help: "required when there are several" },
    "pull-request": { type: "string", value: "number", help: "with --env preview: of this pull request" },
    branch: { type: "string", short: "b", value: "name", help: "with --env preview: of this branch" },
    stepped: { type: "boolean", help: "by the weights of its canary instead of at once" },
    reason: { type: "string", value: "text", help: "for the record" },
  },
  examples: [
    "signalbox rollback --env production",
    "signalbox rollback --env production dep_… --reason 'checkout broken'",
  ],
  async run(context, args) {
    const environment = args.text("env");
    if (environment === null) {
      throw usageError(
        "`signalbox rollback` needs --env: what is to be rolled back?",
        "For what your users see: signalbox rollback --env production",
      );
    }
    const project = args.text("project");
    const target = args.positionals[0];
    const [reason, branch] = [args.text("reason"), args.text("branch")];
    const pullRequest = positiveNumber(args, "pull-request");
    const body = {
      environment,
      ...(project === null ? {} : { project }),
      ...(target === undefined ? {} : { targetDeploymentId: target }),
      ...(pullRequest === null ? {} : { pullRequest }),
      ...(branch === null ? {} : { branch }),
      ...(args.flag("stepped") ? { stepped: true } : {}),
      ...(reason === null ? {} : { reason }),
    };
    const screen = createScreen(context.io);
    screen.moving((spinner) => `${context.paint.cyan(spinner)} Rolling ${environment} back`);
    try {
      const key = context.ids("cli");
      const done = await postOnce<RolledBack>(
        context.api(),
        context.clock,
        "/api/deploy/rollback",
        body,
        key,
      );
      screen.moving(null);
      if (context.json) context.printJson(done);
      else tellRolledBack(context, environment, done);
      return EXIT.ok;
    } finally {
      screen.close();
    }
  },
};

function tellRolledBack({ paint, print, note }: Context, environment: string, done: RolledBack): void {
  const { deploymentId, rolledBack, state, durationMs } = done;
  const others = rolledBack.join(", ");
  if (state === "rolling_back") {
    print(`${paint.green("✓")} ${environment} goes back to ${deploymentId} by steps, from ${others}`);
    note(`  watch it:  ${paint.cyan(`signalbox status ${rolledBack[0] ?? deploymentId} --watch`)}`);
    return;
  }
  const from = rolledBack.length === 0 ? "" : `, instead of ${others}`;
  const took = paint.dim(formatDuration(durationMs));
  print(`${paint.green("✓")} ${deploymentId} serves ${environment} again${from}  ${took}`);
}
