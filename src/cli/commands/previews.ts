import { type Arguments, usageError } from "../arguments.ts";
import { type Command, PROJECT_OPTION } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { projectOf } from "../project-of.ts";
import { putJson } from "../put-json.ts";
import { formatAge } from "../terminal/quantity.ts";
import { formatTable } from "../terminal/table.ts";

type Step = { readonly kind: string; readonly key: string; readonly why: string; readonly failed?: string };
type Preview = {
  readonly project: string;
  readonly key: string;
  readonly state: string;
  readonly url: string | null;
  readonly createdAt: string;
  readonly expiresAt: string | null;
  readonly why: string | null;
};
type Policy = Record<string, unknown>;
type ProjectPreviews = {
  readonly policy: Policy;
  readonly lastSweep: {
    at: string | null;
    failingSince: string | null;
    failure: string | null;
    steps: Step[];
  };
};

const SUBCOMMANDS = ["list", "policy", "close", "sweep", "webhook"] as const;

export const previews: Command = {
  name: "previews",
  summary: "the previews of pull requests or branches: which there are, and which are wanted",
  positionals: { usage: "[list | policy | close <key> | sweep | webhook]", max: 2 },
  options: {
    project: { ...PROJECT_OPTION, help: "required when there are several" },
    source: {
      type: "string",
      value: "kind",
      choices: ["github", "branches", "none"],
      help: "policy: of what",
    },
    repository: { type: "string", value: "owner/name", help: "policy: the repository at GitHub" },
    git: { type: "string", value: "url", help: "policy: where commits are fetched from" },
    include: { type: "string", value: "globs", help: "policy: branches, comma-separated (default all)" },
    exclude: { type: "string", value: "globs", help: "policy: not these branches" },
    ttl: { type: "string", value: "time", help: "policy: 7d, 36h or none, since the last push or deploy" },
    limit: { type: "string", value: "count", help: "policy: previews at the same time (default 20)" },
    forks: { type: "string", value: "yes|no", choices: ["yes", "no"], help: "policy: also of forks" },
    comment: {
      type: "string",
      value: "yes|no",
      choices: ["yes", "no"],
      help: "policy: tell GitHub the address",
    },
    production: { type: "string", value: "branch", help: "policy: a push to it goes to production; or none" },
    staging: { type: "string", value: "branch", help: "policy: a push to it goes to staging; or none" },
  },
  examples: [
    "signalbox previews",
    "signalbox previews policy --source github --repository acme/shop --comment yes",
    "signalbox previews close pr-42",
    "signalbox previews webhook   # the address and secret to enter at GitHub",
  ],
  async run(context, args) {
    const [what = "list", key] = args.positionals;
    if (key !== undefined && what !== "close") throw unknown(key);
    switch (what) {
      case "list":
        return list(context, args.text("project"));
      case "policy":
        return policy(context, await projectOf(context, args), args);
      case "close":
        return close(context, await projectOf(context, args), key);
      case "sweep":
        return sweep(context, await projectOf(context, args));
      case "webhook":
        return webhook(context, await projectOf(context, args));
      default:
        throw unknown(what);
    }
  },
};

function unknown(word: string): Error {
  return usageError(
    `\`signalbox previews\` does not know what to do with "${word}".`,
    `It knows ${SUBCOMMANDS.join(", ")}.`,
  );
}

const pathOf = (project: string) => `/api/projects/${encodeURIComponent(project)}/previews`;

async function list(context: Context, project: string | null): Promise<number> {
  const query = project === null ? "" : `?project=${encodeURIComponent(project)}`;
  const found = await context.api().get<{ previews: Preview[] }>(`/api/previews${query}`);
  if (context.json) context.printJson(found);
  else if (found.previews.length === 0) context.note("There are no previews.");
  else {
    const now = context.clock.now();
    const rows = found.previews.map((each) => [
      each.project,
      each.key,
      each.state,
      formatAge(each.createdAt, now),
      each.expiresAt === null ? "-" : formatAge(now.toISOString(), new Date(each.expiresAt)),
      each.url ?? "-",
      each.why ?? "",
    ]);
    const header = ["PROJECT", "KEY", "STATE", "AGE", "EXPIRES IN", "URL", "WHY"];
    for (const line of formatTable(header, rows, context.paint)) context.print(line);
  }
  return EXIT.ok;
}

/** Shows the policy; with options, changes those and leaves the others as they are. */
async function policy(context: Context, project: string, args: Arguments): Promise<number> {
  const changes = changesOf(args);
  const read = () => context.api().get<ProjectPreviews>(pathOf(project));
  let answer = await read();
  if (Object.keys(changes).length > 0) {
    await putJson(context, pathOf(project), merged(answer.policy, changes));
    answer = await read();
  }
  if (context.json) {
    context.printJson(answer);
    return EXIT.ok;
  }
  for (const [name, value] of Object.entries(answer.policy)) {
    context.print(`${name.padEnd(18)}${typeof value === "string" ? value : JSON.stringify(value)}`);
  }
  const { at, failingSince, failure } = answer.lastSweep;
  context.note(`Last compared with what is open: ${at ?? "not yet"}.`);
  if (failingSince !== null) context.note(`Since ${failingSince} that fails: ${failure}`);
  return EXIT.ok;
}

function changesOf(args: Arguments): Policy {
  const changes: Policy = {};
  const set = (option: string, field: string, read: (text: string) => unknown) => {
    const text = args.text(option);
    if (text !== null) changes[field] = read(text);
  };
  const orNone = (text: string) => (text === "none" ? null : text);
  const globs = (text: string) => text.split(",").filter(Boolean);
  set("source", "source", String);
  set("repository", "repository", orNone);
  set("git", "gitUrl", orNone);
  set("include", "include", globs);
  set("exclude", "exclude", (text) => globs(orNone(text) ?? ""));
  set("ttl", "ttlMs", ttlOf);
  set("limit", "limit", limitOf);
  set("forks", "forks", (text) => text === "yes");
  set("comment", "commentUrl", (text) => text === "yes");
  set("production", "productionBranch", orNone);
  set("staging", "staging", orNone);
  return changes;
}

/** `staging` is one entry of `deployOnPush`, in place of whichever branch went there before. */
function merged(before: Policy, { staging, ...changes }: Policy): Policy {
  const policy = { ...before, ...changes };
  if (staging === undefined) return policy;
  const pushes = Object.entries(before.deployOnPush as Record<string, string>);
  const others = pushes.filter(([, environment]) => environment !== "staging");
  const own = staging === null ? [] : [[String(staging), "staging"] as const];
  return { ...policy, deployOnPush: Object.fromEntries([...others, ...own]) };
}

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

function ttlOf(text: string): number | null {
  if (text === "none") return null;
  const [, count, unit] = /^(\d{1,5})(m|h|d)$/.exec(text) ?? [];
  if (count !== undefined) return Number(count) * UNITS[unit as keyof typeof UNITS];
  throw usageError(`--ttl ${text} is no time.`, "Write 7d, 36h, 90m or none.");
}

function limitOf(text: string): number {
  const limit = Number(text);
  if (Number.isSafeInteger(limit) && limit >= 0) return limit;
  throw usageError(`--limit must be a whole number, not "${text}".`, "Try --limit 20.");
}

async function close(context: Context, project: string, key: string | undefined): Promise<number> {
  if (key === undefined) {
    throw usageError(
      "`signalbox previews close` needs a key.",
      "Keys are in `signalbox previews list`: pr-42.",
    );
  }
  await context.api().delete(`/api/previews/${encodeURIComponent(project)}/${encodeURIComponent(key)}`);
  if (context.json) context.printJson({ project, key, closed: true });
  else
    context.print(
      `${context.paint.green("✓")} ${key} of ${project} is closed; the next push makes it again.`,
    );
  return EXIT.ok;
}

async function sweep(context: Context, project: string): Promise<number> {
  const done = await context.api().post<{ steps: Step[] }>(`${pathOf(project)}/sweep`, {});
  if (context.json) context.printJson(done);
  else if (done.steps.length === 0) context.note("Nothing is open, and there are no previews.");
  else {
    const rows = done.steps.map(({ kind, key, why, failed }) => [kind, key, failed ?? why]);
    for (const line of formatTable(["DID", "KEY", "WHY"], rows, context.paint)) context.print(line);
  }
  return done.steps.some(({ failed }) => failed !== undefined) ? EXIT.failed : EXIT.ok;
}

async function webhook(context: Context, project: string): Promise<number> {
  const path = `/api/projects/${encodeURIComponent(project)}/webhook`;
  const made = await context.api().post<{ path: string; secret: string; events: string[] }>(path, {});
  const url = context.api().url + made.path;
  if (context.json) context.printJson({ ...made, url });
  else {
    context.print(`Payload URL   ${url}`);
    context.print("Content type  application/json");
    context.print(`Secret        ${made.secret}`);
    context.print(`Events        ${made.events.join(", ")}`);
    context.note(
      "Enter these at GitHub: Settings, Webhooks. The secret is shown this once; GitHub must reach the URL.",
    );
  }
  return EXIT.ok;
}
