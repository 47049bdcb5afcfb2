import { type Arguments, usageError } from "../arguments.ts";
import type { Command } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { formatAge } from "../terminal/quantity.ts";
import { formatTable } from "../terminal/table.ts";

type Prober = {
  readonly id: string;
  readonly location: string;
  readonly kind: "inside" | "agent";
  readonly seenAt: string | null;
  readonly isSeen: boolean;
  readonly report: {
    readonly checks: number;
    readonly missed: number;
    readonly latenessP99Ms: number;
    readonly connected: boolean | null;
  } | null;
};

const HEADER = ["PROBER", "LOCATION", "KIND", "SEEN", "CHECKS", "LATE P99", "MISSED", "NETWORK"];

export const prober: Command = {
  name: "prober",
  summary: "who probes, and from where; agents at other places",
  positionals: { usage: "[list | add <location> | remove <prober>]", max: 2 },
  options: {},
  examples: ["signalbox prober", "signalbox prober add fra", "signalbox prober remove agt_…"],
  async run(context, args) {
    const [what = "list", value] = args.positionals;
    if (what === "list" && value === undefined) return list(context);
    if (what === "add" && value !== undefined) return add(context, value);
    if (what === "remove" && value !== undefined) return remove(context, value);
    throw unknownWords(args);
  },
};

function unknownWords(args: Arguments) {
  return usageError(
    `\`signalbox prober\` does not know what to do with "${args.positionals.join(" ")}".`,
    "It knows list, add <location> and remove <prober>.",
  );
}

async function list(context: Context): Promise<number> {
  const answer = await context.api().get<{ probers: Prober[] }>("/api/probers");
  const nobody = !answer.probers.some(({ isSeen }) => isSeen);
  if (context.json) context.printJson(answer);
  else {
    const rows = answer.probers.map((each) => rowOf(context, each));
    for (const line of formatTable(HEADER, rows, context.paint)) context.print(line);
    if (nobody) context.note("Nobody probes. `signalbox up` starts the prober; its log says why it ended.");
  }
  return nobody ? EXIT.failed : EXIT.ok;
}

function rowOf({ paint, clock }: Context, { id, location, kind, seenAt, isSeen, report }: Prober): string[] {
  const seen = seenAt === null ? "never" : `${formatAge(seenAt, clock.now())} ago`;
  const network = { true: "ok", false: paint.red("cut off"), null: "unknown" }[
    String(report?.connected ?? null)
  ];
  return [
    id,
    location,
    kind,
    isSeen ? seen : paint.red(seen),
    report ? String(report.checks) : "-",
    report ? `${report.latenessP99Ms.toFixed(1)} ms` : "-",
    report ? String(report.missed) : "-",
    network ?? "unknown",
  ];
}

async function add(context: Context, location: string): Promise<number> {
  const made = await context.api().post<{ id: string; token: string }>("/api/probers", { location });
  if (context.json) {
    context.printJson(made);
    return EXIT.ok;
  }
  context.print(made.token);
  context.note(`Agent ${made.id} may push from "${location}". Its token is shown this once. There, run:`);
  context.note("SIGNALBOX_URL=<this control plane> SIGNALBOX_PROBER_TOKEN=<token> signalbox start prober");
  context.note(`Then name the place in a check: locations: [local, ${location}].`);
  return EXIT.ok;
}

async function remove(context: Context, id: string): Promise<number> {
  await context.api().delete(`/api/probers/${encodeURIComponent(id)}`);
  if (context.json) context.printJson({ id });
  else context.print(`${context.paint.green("✓")} ${id} may push no more; what it found stays.`);
  return EXIT.ok;
}
