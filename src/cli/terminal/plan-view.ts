import type { Paint } from "./paint.ts";
import { formatTable } from "./table.ts";
import { harmless } from "./width.ts";

type Phase = {
  readonly pending: readonly string[];
  readonly applied: readonly string[];
  readonly problems: readonly string[];
};

/** What a deployment would do, as the API tells it. */
export type Plan = {
  readonly project: string;
  readonly environment: string;
  readonly commit: { readonly sha: string | null; readonly message: string | null; readonly dirty: boolean };
  readonly services: readonly {
    readonly name: string;
    readonly change: string;
    readonly hosts: readonly string[];
  }[];
  readonly steps: readonly { readonly at: string; readonly text: string }[];
  readonly migrations: { readonly expand: Phase | null; readonly contract: Phase | null };
  readonly downtime: { readonly expected: string; readonly because: readonly string[] };
  readonly warnings: readonly string[];
  readonly rollback: {
    readonly to: string | null;
    readonly barrier: string | null;
    readonly window: string;
  };
  readonly queue: { readonly ahead: number; readonly supersedes: readonly string[] };
};

export function planLines(plan: Plan, paint: Paint): string[] {
  return [
    `${paint.bold(plan.project)} to ${paint.bold(plan.environment)}${commitText(plan)}`,
    "",
    `${paint.bold("downtime")}  ${expectedText(plan.downtime.expected, paint)}`,
    ...plan.downtime.because.map((reason) => `  because ${harmless(reason)}`),
    "",
    ...formatTable(
      ["SERVICE", "CHANGE", "AT"],
      plan.services.map(({ name, change, hosts }) => [name, change, hosts[0] ?? "-"]),
      paint,
    ),
    "",
    ...stepLines(plan, paint),
    ...migrationLines(plan, paint),
    "",
    `${paint.bold("rollback")}  ${rollbackText(plan)}`,
    ...plan.warnings.map((warning) => `${paint.yellow("!")} ${harmless(warning)}`),
  ];
}

function commitText({ commit: { sha, message, dirty } }: Plan): string {
  const id = sha === null ? "" : `  ${sha.slice(0, 7)}${dirty ? "*" : ""}`;
  return message === null ? id : `${id}  ${harmless(message.split("\n")[0] ?? "")}`;
}

function expectedText(expected: string, paint: Paint): string {
  return expected === "none" ? paint.green(expected) : paint.yellow(expected);
}

/** The state is told once for all of its lines. */
function stepLines({ steps }: Plan, paint: Paint): string[] {
  const width = Math.max(...steps.map(({ at }) => at.length));
  return steps.map(({ at, text }, index) => {
    const label = steps[index - 1]?.at === at ? "" : at;
    return `${paint.dim(label.padEnd(width))}  ${harmless(text)}`;
  });
}

function migrationLines({ migrations }: Plan, paint: Paint): string[] {
  const lines = (["expand", "contract"] as const).flatMap((phase) => {
    const found = migrations[phase];
    if (found === null || found.pending.length + found.applied.length === 0) return [];
    const pending = found.pending.length === 0 ? "nothing pending" : `pending ${found.pending.join(", ")}`;
    return [
      `  ${phase.padEnd(8)}  ${pending}; ${found.applied.length} applied`,
      ...found.problems.map((problem) => `  ${paint.red("✗")} ${harmless(problem)}`),
    ];
  });
  return lines.length === 0 ? [] : ["", paint.bold("migrations"), ...lines];
}

function rollbackText({ rollback: { to, barrier, window } }: Plan): string {
  if (to === null) return "nothing to go back to: no release serves here yet";
  if (barrier !== null) return `${to} cannot serve any more: the contract ${barrier} was applied`;
  return `to ${to}; kept for ${window} at least before a contract may run`;
}
