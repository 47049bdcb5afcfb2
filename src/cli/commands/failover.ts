import { Readable } from "node:stream";
import { type Arguments, usageError } from "../arguments.ts";
import { type Command, PROJECT_OPTION } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { projectOf } from "../project-of.ts";
import { formatAge } from "../terminal/quantity.ts";
import { formatTable } from "../terminal/table.ts";

type Side = "primary" | "standby";
type Event = {
  readonly at: string;
  readonly kind: string;
  readonly side: Side | null;
  readonly switchId: string | null;
  readonly reason: string | null;
  readonly actor: string;
};
type Failover = {
  readonly project: string;
  readonly asked: boolean;
  readonly hostname: string | null;
  readonly serving: Side;
  readonly servingSince: string;
  readonly switchedBy: string | null;
  readonly elsewhere: string | null;
  readonly automatic: {
    readonly configured: boolean;
    readonly on: boolean;
    readonly heldBack: string | null;
  };
  readonly primary: { readonly verdict: string; readonly reason: string; readonly checkedAt: string | null };
  readonly standby: {
    readonly state: string;
    readonly reason: string | null;
    readonly mirrors: string | null;
    readonly mirroredAt: string | null;
    readonly url: string | null;
    readonly missingVariables: readonly string[];
    readonly warning: string | null;
  };
  readonly switch: { readonly id: string; readonly to: Side; readonly error: string | null } | null;
  readonly switchesToday: number;
  readonly maxPerDay: number;
  readonly events: readonly Event[];
};

const EVENTS_SHOWN = 5;
const LOOK_MS = 500;
const NAMES = { primary: "Vercel", standby: "the dock" } as const;

export const failover: Command = {
  name: "failover",
  summary: "the second place of production: whether it is ready, and who serves",
  positionals: { usage: "[status | to dock | back | auto on|off]", max: 2 },
  options: {
    project: { ...PROJECT_OPTION, help: "required when there are several" },
    reason: { type: "string", value: "text", help: "to, back: why; it is in the record" },
    force: { type: "boolean", help: "to, back: although the other side is not known to be well" },
    detach: { type: "boolean", help: "to, back: do not wait until it is done" },
  },
  examples: [
    "signalbox failover",
    "signalbox failover to dock --reason 'Vercel is away'",
    "signalbox failover back",
    "signalbox failover auto off",
  ],
  async run(context, args) {
    const [what = "status", value] = args.positionals;
    if (what === "status" && value === undefined) return status(context, args);
    if (what === "to" && value === "dock") return move(context, args, "standby");
    if (what === "back" && value === undefined) return move(context, args, "primary");
    if (what === "auto" && (value === "on" || value === "off"))
      return automatic(context, args, value === "on");
    throw usageError(
      `\`signalbox failover\` does not know what to do with "${args.positionals.join(" ")}".`,
      "It knows status, to dock, back, auto on and auto off.",
    );
  },
};

const pathOf = (project: string) => `/api/projects/${encodeURIComponent(project)}/failover`;

async function status(context: Context, args: Arguments): Promise<number> {
  const found = await context.api().get<Failover>(pathOf(await projectOf(context, args)));
  if (context.json) context.printJson(found);
  else show(context, found);
  return found.standby.state === "failed" ? EXIT.failed : EXIT.ok;
}

function show(context: Context, found: Failover): void {
  const { paint, clock } = context;
  const now = clock.now();
  const age = (iso: string | null) => (iso === null ? "never" : `${formatAge(iso, now)} ago`);
  const line = (name: string, text: string) => context.print(`${name.padEnd(12)}${text}`);
  const { standby, primary, automatic } = found;
  line("Hostname", found.hostname ?? "none configured: you move visitors yourself");
  const by =
    found.switchedBy === null ? "" : `, moved by ${found.switchedBy === "person" ? "hand" : "itself"}`;
  line("Serving", `${NAMES[found.serving]}, since ${age(found.servingSince)}${by}`);
  const good = primary.verdict === "well" ? paint.green(primary.verdict) : paint.red(primary.verdict);
  line("Vercel", `${good}, looked at ${age(primary.checkedAt)}: ${primary.reason}`);
  const ready = standby.state === "ready" ? paint.green(standby.state) : paint.yellow(standby.state);
  const mirrors =
    standby.mirrors === null ? "" : `, shows ${standby.mirrors} since ${age(standby.mirroredAt)}`;
  line("Standby", `${ready}${mirrors}${standby.reason === null ? "" : `: ${standby.reason}`}`);
  if (standby.url !== null) line("", standby.url);
  const held = automatic.heldBack === null ? "" : ` (${automatic.heldBack})`;
  const mode = automatic.on ? "on" : automatic.configured ? "off, by a person" : "off, not configured";
  line("Automatic", `${mode}${held}; ${found.switchesToday} of ${found.maxPerDay} switches today`);
  if (found.switch) {
    const { to, error } = found.switch;
    line("Under way", `to ${NAMES[to]}${error === null ? "" : `, which does not succeed yet: ${error}`}`);
  }
  warn(context, found);
  const rows = found.events
    .slice(0, EVENTS_SHOWN)
    .map(({ at, kind, side, actor, reason }) => [
      age(at),
      kind,
      side === null ? "-" : NAMES[side],
      actor,
      reason ?? "",
    ]);
  for (const row of formatTable(["WHEN", "WHAT", "SIDE", "WHO", "WHY"], rows, paint)) context.print(row);
}

function warn(context: Context, { asked, elsewhere, standby }: Failover): void {
  if (!asked)
    context.note("The live configuration asks for no failover any more; the standby is no longer kept.");
  if (elsewhere !== null) context.note(`The hostname points to ${elsewhere}, which is neither side.`);
  if (standby.missingVariables.length > 0) {
    const names = standby.missingVariables.join(", ");
    context.note(`The standby lacks variables that Vercel does not tell: ${names}.`);
    context.note("Set them in signalbox.yaml, or the standby runs without them.");
  }
  if (standby.warning !== null) context.note(standby.warning);
}

/** Asks for the switch and, unless told not to, waits until the hostname was read back on the other side. */
async function move(context: Context, args: Arguments, to: Side): Promise<number> {
  const project = await projectOf(context, args);
  const reason = args.text("reason");
  const body = { to, force: args.flag("force"), ...(reason === null ? {} : { reason }) };
  const asked = await context.api().post<Failover>(`${pathOf(project)}/switch`, body);
  const id = asked.switch?.id ?? null;
  let found = asked;
  while (!args.flag("detach") && id !== null && found.switch?.id === id) {
    await context.clock.sleep(LOOK_MS);
    found = await context.api().get<Failover>(pathOf(project));
  }
  if (context.json) context.printJson(found);
  if (found.switch !== null && found.switch.id === id) {
    if (!context.json) context.print(`${id} moves ${found.hostname} to ${NAMES[to]}.`);
    return EXIT.ok;
  }
  const end = found.events.find(({ switchId, kind }) => switchId === id && kind !== "switching");
  const done = found.serving === to && end?.kind !== "abandoned";
  if (context.json) return done ? EXIT.ok : EXIT.failed;
  if (done) context.print(`${context.paint.green("✓")} ${found.hostname} is served by ${NAMES[to]}.`);
  else context.note(`${found.hostname} was not moved: ${end?.reason ?? "the switch was given up"}`);
  return done ? EXIT.ok : EXIT.failed;
}

async function automatic(context: Context, args: Arguments, on: boolean): Promise<number> {
  const project = await projectOf(context, args);
  const bytes = Buffer.from(JSON.stringify({ on }));
  const headers = { "content-type": "application/json", "content-length": String(bytes.length) };
  const body = { size: bytes.length, open: () => Readable.from([bytes]) };
  await context.api().put(`${pathOf(project)}/automatic`, body, { headers });
  const found = await context.api().get<Failover>(pathOf(project));
  if (context.json) context.printJson(found);
  else if (on && !found.automatic.on) {
    context.note(
      "It is allowed again, and the configuration does not ask for it: failover.automatic is not true.",
    );
  } else
    context.print(`${context.paint.green("✓")} Automatic failover of ${project} is ${on ? "on" : "off"}.`);
  return EXIT.ok;
}
