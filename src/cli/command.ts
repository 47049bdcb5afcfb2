import type { Arguments } from "./arguments.ts";
import type { Context } from "./context.ts";

/** One option, as parsed and as shown by `help`. */
export type OptionSpec = {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** Name of the value in help: `<name>`. */
  readonly value?: string;
  /** The only values allowed. */
  readonly choices?: readonly string[];
  readonly help: string;
};

/** One command of the CLI, as data and a body. */
export type Command = {
  /** What the user types: one word, or two ("gateway reload"). */
  readonly name: string;
  readonly summary: string;
  /** Positional arguments as help shows them; `max` is how many are taken. */
  readonly positionals: { readonly usage: string; readonly max: number };
  readonly options: Readonly<Record<string, OptionSpec>>;
  readonly examples?: readonly string[];
  /** Does the work and returns the exit code. */
  run(context: Context, args: Arguments): Promise<number>;
};

/** Options that every command takes. */
export const COMMON_OPTIONS = {
  json: { type: "boolean", help: "machine-readable result on stdout" },
  help: { type: "boolean", short: "h", help: "show this help" },
} as const satisfies Record<string, OptionSpec>;

export const ENVIRONMENTS = ["preview", "staging", "production"] as const;
export type EnvironmentName = (typeof ENVIRONMENTS)[number];

export const PROJECT_OPTION = {
  type: "string",
  short: "p",
  value: "name",
  help: "the project",
} as const satisfies OptionSpec;

export const ENVIRONMENT_OPTION = {
  type: "string",
  short: "e",
  value: "environment",
  choices: ENVIRONMENTS,
  help: ENVIRONMENTS.join(", "),
} as const satisfies OptionSpec;
