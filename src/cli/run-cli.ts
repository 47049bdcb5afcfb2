import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../foundation/clock.ts";
import { randomIds } from "../foundation/ids.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Api } from "./client/api.ts";
import { chooseServer, connect } from "./client/connect.ts";
import { readCredentials } from "./client/credentials.ts";
import type { Command } from "./command.ts";
import { COMMANDS } from "./commands/index.ts";
import type { Context, Io, Processes } from "./context.ts";
import { EXIT, exitCodeOf } from "./exit-code.ts";
import { commandLines, overviewLines } from "./help.ts";
import { Interrupted } from "./interrupt.ts";
import { errorJson, errorLines } from "./report-error.ts";
import { suggest } from "./suggest.ts";
import { createPaint } from "./terminal/paint.ts";

/**
 * Runs one command: `argv` is what was typed after `signalbox`. Resolves with the exit code, and never rejects:
 * an error is told on stderr, and with `--json` as `{error}` on stdout.
 */
export async function runCli(
  argv: readonly string[],
  io: Io,
  config: Config,
  clock: Clock,
  processes: Processes,
): Promise<number> {
  const json = argv.includes("--json");
  const paint = createPaint(io.isTTY);
  const print = (line: string) => void io.stdout.write(`${line}\n`);
  const note = (line: string) => void io.stderr.write(`${line}\n`);
  const printJson = (value: unknown) => print(JSON.stringify(value));
  let api: Api | null = null;
  try {
    const [command, rest] = findCommand(argv);
    if (command === "help") return showHelp(rest, { print, paint });
    if (command === "version") return showVersion(json, print);
    if (rest.includes("--help") || rest.includes("-h")) return showHelp([command.name], { print, paint });
    const args = parseArguments(command, rest);
    const server = chooseServer(config, await readCredentials(config.cli.credentialsFile));
    const context: Context = {
      io,
      config,
      clock,
      ids: randomIds,
      processes,
      paint,
      json,
      cacheDir: config.cli.cacheDir,
      api: () => {
        api ??= connect(server, config, clock);
        return api;
      },
      printJson,
      print,
      note,
    };
    return await command.run(context, args);
  } catch (error) {
    if (!(error instanceof Interrupted)) for (const line of errorLines(error, paint)) note(line);
    if (json) printJson(errorJson(error));
    return exitCodeOf(error);
  } finally {
    closeApi(api);
  }
}

/** Which command is meant, and what follows it. Two words ("gateway reload") are tried before one. */
export function findCommand(
  argv: readonly string[],
): [command: Command | "help" | "version", rest: readonly string[]] {
  const [first, second] = argv;
  if (first === undefined || first === "help" || first === "--help" || first === "-h")
    return ["help", argv.slice(1)];
  if (first === "--version" || first === "-v" || first === "version") return ["version", argv.slice(1)];
  const two = COMMANDS.find((command) => command.name === `${first} ${second}`);
  if (two !== undefined) return [two, argv.slice(2)];
  const one = COMMANDS.find((command) => command.name === first);
  if (one !== undefined) return [one, argv.slice(1)];
  throw unknownCommand(first);
}

function unknownCommand(typed: string): Error {
  const names = COMMANDS.map((command) => command.name);
  const near =
    names.find((name) => name.startsWith(`${typed} `)) ?? suggest(typed, [...names, "help", "start"]);
  return usageError(
    typed.startsWith("-")
      ? `Options come after a command; ${typed} is no command.`
      : `There is no command "${typed}".`,
    near === null ? "All commands: signalbox help" : `Did you mean \`signalbox ${near}\`?`,
  );
}

type HelpOutput = Pick<Context, "print" | "paint">;

function showHelp(words: readonly string[], { print, paint }: HelpOutput): number {
  const named = words.filter((word) => !word.startsWith("-")).join(" ");
  const [command] = named === "" ? (["help"] as const) : findCommand(named.split(" "));
  const lines = typeof command === "string" ? overviewLines(COMMANDS, paint) : commandLines(command, paint);
  for (const line of lines) print(line);
  return EXIT.ok;
}

function showVersion(json: boolean, print: Context["print"]): number {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as {
    version: string;
  };
  print(json ? JSON.stringify({ version, node: process.version }) : version);
  return EXIT.ok;
}

/** Kept-alive connections would hold the program back from ending. */
function closeApi(api: Api | null): void {
  api?.close();
}
