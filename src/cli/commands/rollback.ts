import { usageError } from "../arguments.ts";
import { postOnce } from "../client/trigger.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
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
    const reason = args.text("reason");
    const body = {
      environment,
      ...(project === null ? {} : { project }),
      ...(target === undefined ? {} : { targetDeploymentId: target }),
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
      else {
        const from = done.rolledBack.length === 0 ? "" : `, instead of ${done.rolledBack.join(", ")}`;
        const took = context.paint.dim(formatDuration(done.durationMs));
        context.print(
          `${context.paint.green("✓")} ${done.deploymentId} serves ${environment} again${from}  ${took}`,
        );
      }
      return EXIT.ok;
    } finally {
      screen.close();
    }
  },
};
