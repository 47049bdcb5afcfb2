import { requirePositional } from "../arguments.ts";
import type { Deployment } from "../client/deployment.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const cancel: Command = {
  name: "cancel",
  summary: "stop a deployment that is not live yet",
  positionals: { usage: "<deployment>", max: 1 },
  options: {},
  examples: ["signalbox cancel dep_…"],
  async run(context, args) {
    const id = requirePositional(cancel, args, "the id of a deployment (see `signalbox list`)");
    const path = `/api/deploy/cancel/${encodeURIComponent(id)}`;
    const { deployment } = await context.api().post<{ deployment: Deployment }>(path, {});
    if (context.json) context.printJson({ deployment });
    else {
      const { project, environment, state } = deployment;
      const how = state === "canceled" ? "is canceled" : `is being stopped (${state})`;
      context.print(
        `${context.paint.green("✓")} ${id} ${how}. ${project} in ${environment} serves what it served before.`,
      );
    }
    return EXIT.ok;
  },
};
