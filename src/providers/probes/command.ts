import { type ChildProcess, spawn } from "node:child_process";
import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { timedOut } from "./connection-failure.ts";
import { matchPattern, tooSlow } from "./http/match-pattern.ts";
import { pattern } from "./http/settings.ts";

const text = z
  .string()
  .max(4_096)
  .regex(/^[^\0]*$/, { error: "has a zero byte in it" });

const commandSettings = z.strictObject({
  /** The program and its arguments. No shell reads them. */
  command: z
    .array(text)
    .min(1)
    .max(100)
    .refine(([program]) => program !== "", { error: "names no program" }),
  cwd: text.min(1).optional(),
  /** Beside `PATH` and `LC_ALL`; nothing else is passed on. */
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "is no name of a variable" }), text)
    .default({}),
  /** Exit codes that are good. */
  exitCodes: z.array(z.int().min(0).max(255)).min(1).max(20).default([0]),
  /** Exit codes that mean degraded. */
  degradedExitCodes: z.array(z.int().min(0).max(255)).max(20).default([]),
  /** Text that the output must have in it. */
  contains: z.string().min(1).max(4_096).optional(),
  /** A regular expression that must match somewhere in the output. */
  matches: pattern.optional(),
});
type CommandSettings = z.output<typeof commandSettings>;

/** That a program of the prober's machine ends well. */
export const command = defineProbe<CommandSettings>({
  type: "command",
  settings: commandSettings,
  local: true,
  // Arguments may be secrets.
  subject: ({ command: [program = ""] }) => program,
  host: () => null,
  run: async (settings, context) => {
    const [program = ""] = settings.command;
    const startedMs = context.clock.monotonicMs();
    const ran = await run(settings, context);
    if ("error" in ran) return { status: "down", failure: unstartable(program, ran.error) };
    const { code, signal, output, bytes, aborted } = ran;
    const observed = { exitCode: code, outputBytes: bytes, ...(signal === null ? {} : { signal }) };
    const down = (failure: Failure): Outcome => ({ status: "down", failure, observed });
    if (aborted) return down(timedOut(program, context.clock.monotonicMs() - startedMs, "did not end"));
    if (code === null)
      return down({ class: "status", message: `${program} was ended by the signal ${signal}.` });
    const isDegraded = settings.degradedExitCodes.includes(code);
    if (!isDegraded && !settings.exitCodes.includes(code)) {
      const wanted = settings.exitCodes.join(" or ");
      return down({ class: "status", message: `${program} ended with code ${code}, not ${wanted}.` });
    }
    const unmet = unmetOutput(settings, output);
    if (unmet !== null) return down({ ...unmet, message: `${program}: ${unmet.message}` });
    if (!isDegraded) return { status: "up", observed };
    return {
      status: "degraded",
      failure: { class: "status", message: `${program} ended with code ${code}.` },
      observed,
    };
  },
});

type Ran = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
  readonly bytes: number;
  readonly aborted: boolean;
};

/** What is kept of the output; the rest is read, so that nobody waits for a full pipe, and thrown away. */
const KEPT_BYTES = 65_536;
/** What the system's own programs are found by; the prober's variables hold secrets. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function run(settings: CommandSettings, { signal: ends }: ProbeContext): Promise<Ran | { error: unknown }> {
  return new Promise((resolve) => {
    if (ends.aborted) return resolve({ code: null, signal: null, output: "", bytes: 0, aborted: true });
    const [program = "", ...args] = settings.command;
    const { cwd } = settings;
    const env = { PATH, LC_ALL: "C", ...settings.env };
    // A group of its own: what it starts ends with it.
    const options = { env, detached: true, ...(cwd === undefined ? {} : { cwd }) };
    let child: ChildProcess;
    try {
      child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
      return resolve({ error });
    }
    const parts: Buffer[] = [];
    let bytes = 0;
    let aborted = false;
    const keep = (chunk: Buffer) => {
      if (bytes < KEPT_BYTES) parts.push(chunk.subarray(0, KEPT_BYTES - bytes));
      bytes += chunk.length;
    };
    const onAbort = () => {
      aborted = true;
      killGroup(child);
      // One that left the group may hold on to the pipes: they are not waited for.
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    ends.addEventListener("abort", onAbort, { once: true });
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    child.once("error", (error) => {
      ends.removeEventListener("abort", onAbort);
      resolve({ error });
    });
    // Those that it left running would hold the pipes open, and be left behind.
    child.once("exit", () => killGroup(child));
    child.once("close", (code, signal) => {
      ends.removeEventListener("abort", onAbort);
      resolve({ code, signal, output: Buffer.concat(parts).toString("utf8"), bytes, aborted });
    });
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // None of them is left.
    if (errorCodeOf(error) !== "ESRCH" && errorCodeOf(error) !== "EPERM") throw error;
  }
}

function unmetOutput({ contains, matches }: CommandSettings, output: string): Failure | null {
  if (contains !== undefined && !output.includes(contains))
    return { class: "assertion", message: `the output has no ${JSON.stringify(contains)} in it.` };
  if (matches === undefined) return null;
  const expression = new RegExp(matches, "u");
  const matched = matchPattern(expression, output);
  if (matched === "too slow") return { class: "unsupported", message: `${tooSlow(expression)}.` };
  return matched ? null : { class: "assertion", message: `${expression} does not match the output.` };
}

function unstartable(program: string, error: unknown): Failure {
  const code = errorCodeOf(error) ?? "";
  const what: Readonly<Record<string, string>> = {
    ENOENT: "there is no such program, or no such folder to run it in",
    EACCES: "it may not be run",
    EPERM: "it may not be run",
    ENOEXEC: "it is no program of this machine",
    ENOTDIR: "the folder to run it in is none",
    E2BIG: "its arguments are too long",
  };
  const known = what[code];
  if (known !== undefined) return { class: "unsupported", message: `${program}: ${known} (${code}).` };
  return { class: "fault", message: `${program} could not be started: ${messageOf(error)}.` };
}
