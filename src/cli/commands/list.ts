import { positiveNumber } from "../arguments.ts";
import { type Deployment, listPath } from "../client/deployment.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { LIST_HEADER, listRow } from "../terminal/deployment-view.ts";
import { formatTable } from "../terminal/table.ts";

export const list: Command = {
  name: "list",
  summary: "the latest deployments, newest first",
  positionals: { usage: "", max: 0 },
  options: {
    project: { ...PROJECT_OPTION, help: "only this project" },
    env: { ...ENVIRONMENT_OPTION, help: "only this environment" },
    state: { type: "string", value: "state", help: "only this state, e.g. live or failed" },
    limit: { type: "string", short: "n", value: "count", help: "how many (default 20)" },
  },
  examples: ["signalbox list --env production --limit 5"],
  async run(context, args) {
    const path = listPath({
      project: args.text("project"),
      environment: args.text("env"),
      state: args.text("state"),
      limit: positiveNumber(args, "limit") ?? 20,
    });
    const { deployments } = await context.api().get<{ deployments: Deployment[] }>(path);
    if (context.json) {
      context.printJson({ deployments });
      return EXIT.ok;
    }
    if (deployments.length === 0) context.note("No deployments yet. Make one with `signalbox deploy`.");
    else {
      const now = context.clock.now();
      const rows = deployments.map((deployment) => listRow(deployment, now, context.paint));
      for (const line of formatTable(LIST_HEADER, rows, context.paint)) context.print(line);
    }
    return EXIT.ok;
  },
};
