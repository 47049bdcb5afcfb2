import { requirePositional } from "../arguments.ts";
import { type Command, PROJECT_OPTION } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { projectOf } from "../project-of.ts";
import { putJson } from "../put-json.ts";
import { readSecret } from "../read-secret.ts";
import { formatAge } from "../terminal/quantity.ts";
import { formatTable } from "../terminal/table.ts";

type Secret = {
  readonly name: string;
  readonly environment: string | null;
  readonly updatedAt: string;
  readonly by: string;
};

const OPTIONS = {
  project: { ...PROJECT_OPTION, help: "required when there are several" },
  env: {
    type: "string",
    short: "e",
    value: "environment",
    choices: ["preview", "staging", "production", "development"],
    help: "only of this environment (default: all that have none of their own)",
  },
} as const;

const pathOf = (project: string) => `/api/projects/${encodeURIComponent(project)}/secrets`;

export const secretSet: Command = {
  name: "secret set",
  summary: "set a secret that checks use; the value is read from stdin, never an argument",
  positionals: { usage: "<name>", max: 1 },
  options: OPTIONS,
  examples: [
    'printf %s "$KEY" | signalbox secret set BROWSERBASE_API_KEY',
    "signalbox secret set DB_URL < url.txt",
  ],
  async run(context, args) {
    const name = requirePositional(secretSet, args, "the secret's name");
    const project = await projectOf(context, args);
    const environment = args.text("env");
    const value = await readSecret(context, name);
    await putJson(context, `${pathOf(project)}/${encodeURIComponent(name)}`, { value, environment });
    if (context.json) context.printJson({ project, name, environment });
    else
      context.print(
        `${context.paint.green("✓")} ${name} of ${project} is set for ${environment ?? "all environments"}.`,
      );
    return EXIT.ok;
  },
};

export const secretList: Command = {
  name: "secret list",
  summary: "the names of a project's secrets; nothing shows their values",
  positionals: { usage: "", max: 0 },
  options: { project: OPTIONS.project },
  async run(context, args) {
    const answer = await context.api().get<{ secrets: Secret[] }>(pathOf(await projectOf(context, args)));
    if (context.json) context.printJson(answer);
    else if (answer.secrets.length === 0) context.note("There are no secrets.");
    else {
      const now = context.clock.now();
      const rows = answer.secrets.map((each) => [
        each.name,
        each.environment ?? "all",
        formatAge(each.updatedAt, now),
        each.by,
      ]);
      for (const line of formatTable(["SECRET", "ENV", "SET", "BY"], rows, context.paint))
        context.print(line);
    }
    return EXIT.ok;
  },
};

export const secretDelete: Command = {
  name: "secret delete",
  summary: "take a secret away",
  positionals: { usage: "<name>", max: 1 },
  options: OPTIONS,
  async run(context, args) {
    const name = requirePositional(secretDelete, args, "the secret's name");
    const project = await projectOf(context, args);
    const environment = args.text("env");
    const query = environment === null ? "" : `?environment=${environment}`;
    await context.api().delete(`${pathOf(project)}/${encodeURIComponent(name)}${query}`);
    if (context.json) context.printJson({ project, name, environment, deleted: true });
    else context.print(`${context.paint.green("✓")} ${name} of ${project} is gone.`);
    return EXIT.ok;
  },
};
