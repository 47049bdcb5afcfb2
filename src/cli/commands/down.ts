import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const down: Command = {
  name: "down",
  summary: "stop everything on this machine; what was deployed comes back with `up`",
  positionals: { usage: "", max: 0 },
  options: {},
  async run(context) {
    const { stopped } = await context.processes.down({ json: context.json });
    if (context.json) context.printJson({ stopped });
    else if (stopped.length === 0) context.print("Nothing was running.");
    else context.print(`${context.paint.green("✓")} Stopped ${stopped.join(", ")}.`);
    return EXIT.ok;
  },
};
