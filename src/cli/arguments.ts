import { parseArgs } from "node:util";
import { AppError } from "../foundation/errors.ts";
import { COMMON_OPTIONS, type Command, type OptionSpec } from "./command.ts";
import { suggest } from "./suggest.ts";

/** What the user typed after the command's name, checked. */
export type Arguments = {
  readonly positionals: readonly string[];
  /** The value of a string option, or null when it was not given. */
  text(name: string): string | null;
  flag(name: string): boolean;
};

/** An error of usage: what is wrong, and the nearest right thing. Exit code 2. */
export function usageError(message: string, hint: string): AppError {
  return new AppError("bad_request", message, { hint });
}

/** Parses `argv` by the command's options. @throws AppError `bad_request` naming the first thing that is wrong. */
export function parseArguments(command: Command, argv: readonly string[]): Arguments {
  const specs: Record<string, OptionSpec> = { ...command.options, ...COMMON_OPTIONS };
  const { tokens } = parseArgs({
    args: [...argv],
    // The messages of strict mode name neither the command nor what was meant, so the checks are made below.
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [
        name,
        spec.short === undefined ? { type: spec.type } : { type: spec.type, short: spec.short },
      ]),
    ),
  });
  const texts = new Map<string, string>();
  const flags = new Set<string>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const spec = specs[token.name];
    if (spec === undefined) throw unknownOption(command, token.rawName, Object.keys(specs));
    if (spec.type === "boolean") flags.add(requireNoValue(command, token.rawName, token.name, token.value));
    else texts.set(token.name, requireValue(command, spec, token));
  }
  checkCount(command, positionals);
  return {
    positionals,
    text: (name) => texts.get(name) ?? null,
    flag: (name) => flags.has(name),
  };
}

/** A whole number ≥ 1 from a string option, or null when it was not given. */
export function positiveNumber(args: Arguments, name: string): number | null {
  const text = args.text(name);
  if (text === null) return null;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw usageError(`--${name} must be a whole number of at least 1, not "${text}".`, `Try --${name} 20.`);
}

/** The one positional argument that the command cannot do without. */
export function requirePositional(command: Command, args: Arguments, what: string): string {
  const value = args.positionals[0];
  if (value !== undefined) return value;
  throw usageError(`\`signalbox ${command.name}\` needs ${what}.`, usageHint(command));
}

export function usageLine(command: Command): string {
  return ["signalbox", command.name, command.positionals.usage, "[options]"].filter(Boolean).join(" ");
}

function usageHint(command: Command): string {
  return `Usage: ${usageLine(command)}. All options: signalbox help ${command.name}`;
}

function unknownOption(command: Command, typed: string, known: readonly string[]): AppError {
  const near = suggest(typed.replace(/^-+/, ""), known);
  const hint = near === null ? usageHint(command) : `Did you mean --${near}?`;
  return usageError(`\`signalbox ${command.name}\` has no option ${typed}.`, hint);
}

function requireNoValue(command: Command, typed: string, name: string, value: string | undefined): string {
  if (value === undefined) return name;
  throw usageError(`${typed} takes no value, but "${value}" was given.`, usageHint(command));
}

function requireValue(
  command: Command,
  spec: OptionSpec,
  token: { rawName: string; value?: string | undefined; inlineValue?: boolean | undefined },
): string {
  const { value } = token;
  // `--env --json` is a forgotten value, not an environment called "--json"; `--env=--json` is taken at its word.
  const forgotten =
    value === undefined || value === "" || (value.startsWith("-") && token.inlineValue !== true);
  if (forgotten) {
    const expected = spec.choices?.join(", ") ?? `<${spec.value ?? "value"}>`;
    throw usageError(`${token.rawName} needs a value: ${expected}.`, usageHint(command));
  }
  if (spec.choices === undefined || spec.choices.includes(value)) return value;
  const near = suggest(value, spec.choices);
  const hint = near === null ? `Choose one of: ${spec.choices.join(", ")}.` : `Did you mean ${near}?`;
  throw usageError(`${token.rawName} ${value} is not one of ${spec.choices.join(", ")}.`, hint);
}

function checkCount(command: Command, positionals: readonly string[]): void {
  const surplus = positionals[command.positionals.max];
  if (surplus === undefined) return;
  throw usageError(
    `\`signalbox ${command.name}\` does not know what to do with "${surplus}".`,
    usageHint(command),
  );
}
