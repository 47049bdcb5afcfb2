import { type Command, ENVIRONMENT_OPTION, PROJECT_OPTION } from "../command.ts";
import type { Context } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { projectOf } from "../project-of.ts";
import { formatAge } from "../terminal/quantity.ts";
import { formatTable } from "../terminal/table.ts";

type State = "up" | "degraded" | "down" | "unknown";
type Failure = { readonly class: string; readonly message: string } | null;
type Explanation = { readonly means: string; readonly next: string } | null;
type Check = {
  readonly project: string;
  readonly environment: string;
  readonly name: string;
  readonly type: string;
  readonly subject: string;
  readonly critical: boolean;
  readonly state: State;
  readonly since: string;
  readonly failure: Failure;
  readonly latencyMs: number | null;
  readonly lastCheck: string | null;
  readonly stale: boolean;
  readonly suppressedBy: string | null;
};
type Result = {
  readonly check: Check;
  readonly status: State;
  readonly latencyMs: number | null;
  readonly failure: Failure;
  readonly explanation: Explanation;
  readonly phases: Readonly<Record<string, number>> | null;
  readonly attempts: number;
  readonly untrusted: string | null;
  readonly unanswered: string | null;
};

const OPTIONS = {
  project: { ...PROJECT_OPTION, help: "required when there are several" },
  env: { ...ENVIRONMENT_OPTION, help: "only this environment (default: all)" },
};

type Answer = { readonly ok: boolean; readonly results: readonly Result[] };

/** The longest timeout that a check may have, and what it takes to be told. */
const LONGEST_MS = 330_000;
/** From here on it is worth saying where the time went. */
const SLOW_MS = 500;

export const check: Command = {
  name: "check",
  summary: "run all checks once, or those named, and say what each found, what it means and what to do",
  positionals: { usage: "[name…]", max: 200 },
  options: OPTIONS,
  examples: ["signalbox check", "signalbox check database redis --env production"],
  async run(context, args) {
    const project = await projectOf(context, args);
    const environment = args.text("env");
    const body = {
      project,
      ...(environment === null ? {} : { environment }),
      ...(args.positionals.length === 0 ? {} : { checks: args.positionals }),
    };
    const answer = await context.api().post<Answer>("/api/checks/run", body, { idleTimeoutMs: LONGEST_MS });
    if (context.json) context.printJson(answer);
    else if (answer.results.length === 0) context.note("There are no checks yet: deploy something.");
    else for (const result of answer.results) tell(context, result);
    return answer.ok ? EXIT.ok : EXIT.failed;
  },
};

export const checks: Command = {
  name: "checks",
  summary: "every check, and how what it asks is",
  positionals: { usage: "", max: 0 },
  options: { ...OPTIONS, project: { ...PROJECT_OPTION, help: "only this project (default: all)" } },
  async run(context, args) {
    const query = new URLSearchParams();
    const [project, environment] = [args.text("project"), args.text("env")];
    if (project !== null) query.set("project", project);
    if (environment !== null) query.set("environment", environment);
    const answer = await context.api().get<{ checks: Check[] }>(`/api/checks?${query}`);
    if (context.json) context.printJson(answer);
    else if (answer.checks.length === 0) context.note("There are no checks yet: deploy something.");
    else {
      const rows = answer.checks.map((each) => row(context, each));
      const header = ["PROJECT", "ENV", "CHECK", "STATE", "SINCE", "LATENCY", "LAST", "WHY"];
      for (const line of formatTable(header, rows, context.paint)) context.print(line);
    }
    return EXIT.ok;
  },
};

function row({ clock }: Context, each: Check): string[] {
  const now = clock.now();
  return [
    each.project,
    each.environment,
    each.critical ? `${each.name}*` : each.name,
    each.stale ? `${each.state} (stale)` : each.state,
    formatAge(each.since, now),
    latency(each.latencyMs),
    each.lastCheck === null ? "never" : formatAge(each.lastCheck, now),
    each.failure === null ? "" : `${each.failure.class}: ${each.failure.message}`,
  ];
}

function tell({ paint, print }: Context, result: Result): void {
  const { check: asked, status, failure, explanation, unanswered, untrusted } = result;
  const mark = { up: paint.green("✓"), degraded: paint.yellow("!"), down: paint.red("✗"), unknown: "?" }[
    status
  ];
  const what = `${asked.environment}/${asked.name}${asked.critical ? "*" : ""}`;
  print(`${mark} ${what}  ${status}  ${latency(result.latencyMs)}  ${asked.subject}`);
  const more = (text: string) => print(`    ${text}`);
  if (unanswered !== null) more(`Not answered: ${unanswered}.`);
  if (untrusted !== null) more(`The round does not count (${untrusted}): it says nothing of the service.`);
  if (failure !== null) more(`${failure.class}: ${failure.message}`);
  if (explanation !== null) {
    more(explanation.means);
    more(`${paint.cyan("→")} ${explanation.next}`);
  }
  if (result.attempts > 1) more(`${result.attempts} attempts, each on a connection of its own.`);
  const slow = (result.latencyMs ?? 0) >= SLOW_MS || status !== "up";
  const parts = Object.entries(result.phases ?? {}).map(
    ([name, ms]) => `${PHASES[name] ?? name} ${latency(ms)}`,
  );
  if (slow && parts.length > 0) {
    more(`Time went into: ${parts.join(", ")}.`);
  }
}

const PHASES: Readonly<Record<string, string>> = {
  dnsMs: "name",
  connectMs: "connection",
  tlsMs: "TLS",
  firstByteMs: "first byte",
  transferMs: "transfer",
};

function latency(ms: number | null): string {
  if (ms === null) return "-";
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
