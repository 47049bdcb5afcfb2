import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Arguments, usageError } from "../arguments.ts";
import { outsideNotes, type Watch } from "../client/outside.ts";
import { type Command, PROJECT_OPTION } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { projectOf } from "../project-of.ts";
import { formatAge } from "../terminal/quantity.ts";
import { formatTable } from "../terminal/table.ts";
import { harmless } from "../terminal/width.ts";

type Event = {
  readonly at: string;
  readonly kind: string;
  readonly summary: string;
  readonly deploymentId: string | null;
};

const SUBCOMMANDS = ["list", "look", "unpin", "webhook"] as const;

export const outside: Command = {
  name: "outside",
  summary: "what others did at the target: promotions, rollbacks and builds in Vercel's own dashboard",
  positionals: { usage: "[list | look | unpin | webhook]", max: 1 },
  options: {
    project: { ...PROJECT_OPTION, help: "required when there are several" },
    url: { type: "string", value: "url", help: "webhook: where Vercel reaches it (or SIGNALBOX_PUBLIC_URL)" },
    "secret-file": { type: "string", value: "path", help: "webhook: has the secret of one made by hand" },
  },
  examples: [
    "signalbox outside",
    "signalbox outside unpin   # after a rollback: new builds take the domains again",
    "signalbox outside webhook --url https://signalbox.example.com/api/webhooks/vercel/shop",
  ],
  async run(context, args) {
    const [what = "list"] = args.positionals;
    if (!(SUBCOMMANDS as readonly string[]).includes(what)) {
      throw usageError(
        `\`signalbox outside\` does not know what to do with "${what}".`,
        `It knows ${SUBCOMMANDS.join(", ")}.`,
      );
    }
    const path = `/api/projects/${encodeURIComponent(await projectOf(context, args))}/outside`;
    if (what === "look") return look(context, path);
    if (what === "unpin") return unpin(context, path);
    if (what === "webhook") return webhook(context, path, args);
    return list(context, path);
  },
};

async function list(context: Context, path: string): Promise<number> {
  const found = await context.api().get<{ watches: Watch[]; events: Event[] }>(path);
  if (context.json) {
    context.printJson(found);
    return EXIT.ok;
  }
  const now = context.clock.now();
  for (const note of outsideNotes(found.watches, now)) context.note(note);
  if (found.events.length === 0) context.note("Nothing was done outside of Signalbox.");
  else {
    const rows = found.events.map((each) => [formatAge(each.at, now), each.kind, harmless(each.summary)]);
    for (const line of formatTable(["AGE", "WHAT", "SUMMARY"], rows, context.paint)) context.print(line);
  }
  return EXIT.ok;
}

async function look(context: Context, path: string): Promise<number> {
  await context.api().post(`${path}/look`, {});
  if (context.json) context.printJson({ looking: true });
  else context.note("Looking. What is new is in `signalbox outside` in a moment.");
  return EXIT.ok;
}

async function unpin(context: Context, path: string): Promise<number> {
  const done = await context.api().post<{ unpinned: string[] }>(`${path}/unpin`, {});
  if (context.json) context.printJson(done);
  else if (done.unpinned.length === 0) context.note("Nothing is pinned by a rollback.");
  else
    context.print(`${context.paint.green("✓")} New production builds take the domains by themselves again.`);
  return EXIT.ok;
}

async function webhook(context: Context, path: string, args: Arguments): Promise<number> {
  // Not on the command line, where it would stay in the shell's history.
  const file = args.text("secret-file");
  const secret = file === null ? undefined : (await readFile(resolve(context.io.cwd, file), "utf8")).trim();
  const url = args.text("url") ?? undefined;
  const body = { ...(secret === undefined ? {} : { secret }), ...(url === undefined ? {} : { url }) };
  const made = await context
    .api()
    .post<{ url: string | null; path: string; made: boolean }>(`${path}/webhook`, body);
  if (context.json) context.printJson(made);
  else {
    context.print(`${context.paint.green("✓")} ${made.made ? "Made at Vercel" : "Its secret is kept"}.`);
    context.print(`URL  ${made.url ?? context.api().url + made.path}`);
  }
  return EXIT.ok;
}
