import { requirePositional, usageError } from "../arguments.ts";
import { type Command, PROJECT_OPTION } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { projectOf } from "../project-of.ts";
import { formatTable } from "../terminal/table.ts";

type Network = {
  readonly cidr: string;
  readonly reason: string | null;
  readonly by: string | null;
  readonly at: string | null;
};

const PROJECT = { ...PROJECT_OPTION, help: "required when there are several" };
const pathOf = (project: string) => `/api/projects/${encodeURIComponent(project)}/networks`;

export const networkAllow: Command = {
  name: "network allow",
  summary: "let a project reach a private network (owner)",
  positionals: { usage: "<cidr>", max: 1 },
  options: { project: PROJECT, reason: { type: "string", value: "text", help: "for the record; required" } },
  examples: ['signalbox network allow 10.20.0.0/16 --reason "the databases"'],
  async run(context, args) {
    const cidr = requirePositional(networkAllow, args, "a network, as 10.20.0.0/16");
    const reason = args.text("reason");
    if (reason === null) {
      throw usageError(
        "`signalbox network allow` needs --reason.",
        'It opens what the guard is for: say why, as --reason "the databases".',
      );
    }
    const project = await projectOf(context, args);
    const made = await context.api().post<{ cidr: string }>(pathOf(project), { cidr, reason });
    if (context.json) context.printJson({ project, ...made, reason });
    else context.print(`${context.paint.green("✓")} ${project} may reach ${made.cidr}.`);
    return EXIT.ok;
  },
};

export const networkList: Command = {
  name: "network list",
  summary: "the private networks that a project may reach",
  positionals: { usage: "", max: 0 },
  options: { project: PROJECT },
  async run(context, args) {
    const answer = await context.api().get<{ networks: Network[] }>(pathOf(await projectOf(context, args)));
    if (context.json) context.printJson(answer);
    else if (answer.networks.length === 0) context.note("None but the public ones.");
    else {
      const rows = answer.networks.map(({ cidr, by, at, reason }) => [
        cidr,
        by ?? "installation",
        at ?? "-",
        reason ?? "SIGNALBOX_ALLOW_NETWORKS",
      ]);
      for (const line of formatTable(["NETWORK", "BY", "AT", "WHY"], rows, context.paint))
        context.print(line);
    }
    return EXIT.ok;
  },
};

export const networkDeny: Command = {
  name: "network deny",
  summary: "take an allowed network away (owner)",
  positionals: { usage: "<cidr>", max: 1 },
  options: { project: PROJECT },
  async run(context, args) {
    const cidr = requirePositional(networkDeny, args, "a network, as 10.20.0.0/16");
    const project = await projectOf(context, args);
    await context.api().delete(`${pathOf(project)}?cidr=${encodeURIComponent(cidr)}`);
    if (context.json) context.printJson({ project, cidr, denied: true });
    else context.print(`${context.paint.green("✓")} Checks of ${project} do not reach ${cidr} any more.`);
    return EXIT.ok;
  },
};
