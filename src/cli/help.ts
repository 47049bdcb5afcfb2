import { usageLine } from "./arguments.ts";
import { COMMON_OPTIONS, type Command, type OptionSpec } from "./command.ts";
import { EXIT_MEANINGS } from "./exit-code.ts";
import type { Paint } from "./terminal/paint.ts";

const VARIABLES: readonly (readonly [name: string, meaning: string])[] = [
  ["SIGNALBOX_URL", "the control plane (default: the one logged in to, else this machine's)"],
  ["SIGNALBOX_TOKEN", "the token to use there"],
  ["NO_COLOR", "any value: no colours"],
];

/** The page of all commands. */
export function overviewLines(commands: readonly Command[], paint: Paint): string[] {
  const rows = commands.map(
    ({ name, positionals, summary }) => [`${name} ${positionals.usage}`.trim(), summary] as const,
  );
  return [
    `${paint.bold("signalbox")}  build a commit, prove it, move traffic to it, take it back`,
    "",
    paint.dim("Usage:  signalbox <command> [options]"),
    "",
    ...columns(rows),
    "",
    `Options of one command: ${paint.cyan("signalbox help <command>")}. Every command takes --json.`,
    "",
    paint.dim("Environment"),
    ...columns(VARIABLES),
    "",
    paint.dim("Exit codes"),
    ...columns(EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning] as const)),
  ];
}

/** The page of one command. */
export function commandLines(command: Command, paint: Paint): string[] {
  const options = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(
    ([name, spec]: [string, OptionSpec]) => [optionText(name, spec), spec.help] as const,
  );
  const examples = command.examples ?? [];
  return [
    `${paint.bold(`signalbox ${command.name}`)}  ${command.summary}`,
    "",
    paint.dim(`Usage:  ${usageLine(command)}`),
    "",
    ...columns(options),
    ...(examples.length === 0
      ? []
      : ["", paint.dim("Examples"), ...examples.map((example) => `  ${example}`)]),
  ];
}

function optionText(name: string, spec: OptionSpec): string {
  const short = spec.short === undefined ? "    " : `-${spec.short}, `;
  return `${short}--${name}${spec.type === "string" ? ` <${spec.value ?? "value"}>` : ""}`;
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
