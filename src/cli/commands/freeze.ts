import { type Arguments, requirePositional, usageError } from "../arguments.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatTable } from "../terminal/table.ts";
import { placeOf, timeOf } from "./lock.ts";

type Window =
  | { readonly kind: "once"; readonly from: string; readonly until: string }
  | {
      readonly kind: "weekly";
      readonly days: readonly string[];
      readonly from: string;
      readonly until: string;
      readonly untilDay: string | null;
      readonly timeZone: string;
    };

/** A freeze as the API tells it. */
type Freeze = Window & {
  readonly id: string;
  readonly name: string;
  readonly project: string | null;
  readonly environment: string | null;
  readonly owner: string;
  readonly frozenUntil: string | null;
};

const HEADER = ["FREEZE", "NAME", "PROJECT", "ENV", "WHEN", "NOW"];
const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

export const freezeAdd: Command = {
  name: "freeze add",
  summary: "let nothing take traffic in a window of the calendar (owner)",
  positionals: { usage: "<name>", max: 1 },
  options: {
    days: { type: "string", value: "days", help: "weekly: on which days it begins, e.g. fri or mon,tue" },
    from: { type: "string", value: "time", help: "weekly: HH:MM; once: 2026-12-24T12:00Z" },
    until: { type: "string", value: "time", help: "the same; weekly also with a day: 'mon 08:00'" },
    zone: { type: "string", value: "name", help: "weekly: the time zone, e.g. Europe/Berlin" },
    env: { ...ENVIRONMENT_OPTION, help: "only this environment (default: all)" },
    project: { ...PROJECT_OPTION, help: "only this project (default: all)" },
    reason: { type: "string", value: "text", help: "for the record" },
    expires: {
      type: "string",
      value: "time",
      help: "no window of it lasts beyond this, e.g. 2027-01-31T00:00Z",
    },
  },
  examples: [
    "signalbox freeze add Weekend --days fri --from 17:00 --until 'mon 08:00' --zone Europe/Berlin",
    "signalbox freeze add Holidays --env production --from 2026-12-24T12:00Z --until 2027-01-02T08:00Z",
  ],
  async run(context, args) {
    const name = requirePositional(freezeAdd, args, "a name");
    const [environment, project, reason] = [args.text("env"), args.text("project"), args.text("reason")];
    const answer = await context.api().post<{ freeze: Freeze }>("/api/freezes", {
      name,
      ...windowOf(args),
      ...(environment === null ? {} : { environment }),
      ...(project === null ? {} : { project }),
      ...(reason === null ? {} : { reason }),
      ...(args.text("expires") === null ? {} : { expiresAt: instantOf(args, "expires") }),
    });
    if (context.json) context.printJson(answer);
    else {
      const { freeze } = answer;
      context.print(
        `${context.paint.green("✓")} ${freeze.id} freezes ${placeOf(freeze)}: ${tellWindow(freeze)}.`,
      );
    }
    return EXIT.ok;
  },
};

export const freezeList: Command = {
  name: "freeze list",
  summary: "the freezes that hold now or will again",
  positionals: { usage: "", max: 0 },
  options: {},
  async run(context) {
    const answer = await context.api().get<{ freezes: Freeze[] }>("/api/freezes");
    if (context.json) context.printJson(answer);
    else if (answer.freezes.length === 0) context.note("There are no freezes.");
    else {
      const rows = answer.freezes.map((freeze) => [
        freeze.id,
        freeze.name,
        freeze.project ?? "all",
        freeze.environment ?? "all",
        tellWindow(freeze),
        freeze.frozenUntil === null ? "open" : `frozen until ${timeOf(freeze.frozenUntil)}`,
      ]);
      for (const line of formatTable(HEADER, rows, context.paint)) context.print(line);
    }
    return EXIT.ok;
  },
};

export const freezeRemove: Command = {
  name: "freeze remove",
  summary: "take a freeze away (owner)",
  positionals: { usage: "<freeze>", max: 1 },
  options: {},
  examples: ["signalbox freeze remove frz_…"],
  async run(context, args) {
    const id = requirePositional(freezeRemove, args, "the id of a freeze (see `signalbox freeze list`)");
    const path = `/api/freezes/${encodeURIComponent(id)}/end`;
    const answer = await context.api().post<{ freeze: Freeze }>(path, {});
    if (context.json) context.printJson(answer);
    else {
      const { freeze } = answer;
      context.print(
        `${context.paint.green("✓")} ${id} ("${freeze.name}") no longer freezes ${placeOf(freeze)}.`,
      );
    }
    return EXIT.ok;
  },
};

/** Weekly when days are named, else once. */
function windowOf(args: Arguments): object {
  const days = args.text("days");
  if (days === null) {
    if (args.text("zone") !== null)
      throw usageError("--zone is for weekly freezes.", "Name their --days too.");
    return { kind: "once", from: instantOf(args, "from"), until: instantOf(args, "until") };
  }
  const [, untilDay, until] = /^(?:([a-z]+) )?(.+)$/i.exec(needed(args, "until")) ?? [];
  return {
    kind: "weekly",
    days: days.split(",").map((day) => weekdayOf(day.trim())),
    from: needed(args, "from"),
    until,
    ...(untilDay === undefined ? {} : { untilDay: weekdayOf(untilDay) }),
    timeZone: needed(args, "zone"),
  };
}

function weekdayOf(text: string): string {
  const day = text.slice(0, 3).toLowerCase();
  if (WEEKDAYS.includes(day)) return day;
  throw usageError(`"${text}" is no day of the week.`, `The days are ${WEEKDAYS.join(", ")}.`);
}

/** Without a zone the time would mean something else on each machine. */
function instantOf(args: Arguments, option: string): string {
  const text = needed(args, option);
  const at = new Date(text);
  if (
    /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) &&
    !Number.isNaN(at.getTime())
  )
    return at.toISOString();
  throw usageError(
    `--${option} ${text} is no point in time.`,
    "Once: 2026-12-24T12:00Z or 2026-12-24T13:00+01:00. Every week: name the --days, then HH:MM.",
  );
}

function needed(args: Arguments, option: string): string {
  const text = args.text(option);
  if (text !== null) return text;
  throw usageError(
    `\`signalbox freeze add\` needs --${option}.`,
    "Examples of weekly freezes and of one that is once: signalbox help freeze add",
  );
}

function tellWindow(freeze: Freeze): string {
  if (freeze.kind === "once") return `${timeOf(freeze.from)} to ${timeOf(freeze.until)}`;
  const { days, from, untilDay, until, timeZone } = freeze;
  return `${days.join(",")} ${from} to ${untilDay === null ? "" : `${untilDay} `}${until} ${timeZone}`;
}
