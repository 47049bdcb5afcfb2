import type { Arguments } from "../arguments.ts";
import { usageError } from "../arguments.ts";
import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { formatCount, formatDuration } from "../terminal/quantity.ts";
import { formatTable } from "../terminal/table.ts";

type Percentiles = { count: number; p50Ms: number | null; p90Ms: number | null };

type Metrics = {
  environment: string;
  from: string;
  to: string;
  deploymentFrequency: { count: number; perDay: number; activeDays: number };
  leadTime: Record<"total" | "beforeTrigger" | "machine" | "approvalWait", Percentiles>;
  changeFailRate: { changes: number; failed: number; rate: number | null };
  recoveryTime: Percentiles & { open: number };
  outcomes: Record<string, number>;
};

export const dora: Command = {
  name: "dora",
  summary: "how often, how fast and how well is delivered: DORA's four measures",
  positionals: { usage: "", max: 0 },
  options: {
    project: { ...PROJECT_OPTION, help: "only this project" },
    env: { ...ENVIRONMENT_OPTION, help: "the environment (default production)" },
    from: { type: "string", value: "time", help: "from this day or time on (default 30 days before --to)" },
    to: { type: "string", value: "time", help: "until before this day or time (default now)" },
  },
  examples: ["signalbox dora --project shop", "signalbox dora --from 2026-01-01 --to 2026-04-01 --json"],
  async run(context, args) {
    const query = new URLSearchParams();
    const wanted = {
      project: args.text("project"),
      environment: args.text("env"),
      from: timeOf(args, "from"),
      to: timeOf(args, "to"),
    };
    for (const [name, value] of Object.entries(wanted)) if (value !== null) query.set(name, value);
    const metrics = await context.api().get<Metrics>(`/api/deploy/metrics?${query}`);
    if (context.json) context.printJson(metrics);
    else {
      const days = `${metrics.from.slice(0, 10)} to ${metrics.to.slice(0, 10)}`;
      context.note(`${metrics.environment}, ${days}: ${outcomesText(metrics.outcomes)}`);
      for (const line of formatTable(["MEASURE", "P50", "P90", ""], rows(metrics), context.paint))
        context.print(line);
    }
    return EXIT.ok;
  },
};

/** A day means its beginning in UTC. */
function timeOf(args: Arguments, name: "from" | "to"): string | null {
  const text = args.text(name);
  if (text === null) return null;
  const time = new Date(text);
  if (!Number.isNaN(time.getTime())) return time.toISOString();
  throw usageError(`--${name} must be a day or a time, not "${text}".`, `Try --${name} 2026-01-31.`);
}

function rows({ deploymentFrequency, leadTime, changeFailRate, recoveryTime }: Metrics): string[][] {
  const { count, perDay, activeDays } = deploymentFrequency;
  const { changes, failed, rate } = changeFailRate;
  const often = `${formatCount(count, "deployment")} on ${formatCount(activeDays, "day")}`;
  const open = recoveryTime.open > 0 ? `, ${recoveryTime.open} not yet` : "";
  return [
    ["deployment frequency", "", "", `${perDay.toFixed(2)} a day: ${often}`],
    ["lead time", ...times(leadTime.total), formatCount(leadTime.total.count, "deployment")],
    ["  before the trigger", ...times(leadTime.beforeTrigger), "commit to trigger, where known"],
    ["  machine", ...times(leadTime.machine), "trigger to live, approvals left out"],
    ["  approval", ...times(leadTime.approvalWait), formatCount(leadTime.approvalWait.count, "deployment")],
    [
      "change fail rate",
      rate === null ? "-" : `${(rate * 100).toFixed(1)} %`,
      "",
      `${failed} of ${formatCount(changes, "change")}`,
    ],
    ["recovery time", ...times(recoveryTime), `${formatCount(recoveryTime.count, "failed change")}${open}`],
  ];
}

function times({ p50Ms, p90Ms }: Percentiles): [string, string] {
  const text = (ms: number | null) => (ms === null ? "-" : formatDuration(ms));
  return [text(p50Ms), text(p90Ms)];
}

function outcomesText(outcomes: Record<string, number>): string {
  const some = Object.entries(outcomes).filter(([, count]) => count > 0);
  return some.length === 0 ? "no deployments" : some.map(([name, count]) => `${count} ${name}`).join(", ");
}
