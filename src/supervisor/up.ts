import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config.ts";
import { AppError } from "../foundation/errors.ts";
import { lives } from "./lock.ts";
import { readState, type SupervisorState } from "./state.ts";
import type { Running } from "./supervise.ts";

/** What a background supervisor tells the `up` that started it, once. */
export type UpMessage =
  | { readonly type: "running"; readonly running: Running }
  | { readonly type: "failed"; readonly message: string; readonly hint?: string };

/**
 * Makes sure that a supervisor runs for `config.dir` and answers where everything is. One that runs already is left
 * as it is (`token` is null then). @throws AppError with the sentence of whatever could not start.
 */
export async function up(deps: {
  config: Config;
  command: readonly string[];
  env: NodeJS.ProcessEnv;
}): Promise<Running> {
  const state = await readState(deps.config.dir);
  if (state && lives(state.supervisor)) return alreadyRunning(state);
  const logs = join(deps.config.dir, "log");
  mkdirSync(logs, { recursive: true });
  const logFile = join(logs, "supervisor.log");
  const output = openSync(logFile, "a", 0o600);
  const [program = "", ...args] = [...deps.command, "start", "supervisor"];
  const child = spawn(program, args, {
    env: deps.env,
    detached: true,
    stdio: ["ignore", output, output, "ipc"],
  });
  closeSync(output);
  const message = await new Promise<UpMessage>((resolve) => {
    child.once("message", (received: UpMessage) => resolve(received));
    child.once("error", (error) => resolve({ type: "failed", message: error.message }));
    child.once("exit", (code) =>
      resolve({
        type: "failed",
        message: `The supervisor ended (exit code ${code}).`,
        hint: `Its log is ${logFile}.`,
      }),
    );
  });
  if (message.type === "failed") {
    throw new AppError("unavailable", message.message, message.hint ? { hint: message.hint } : {});
  }
  child.disconnect();
  child.unref();
  return message.running;
}

function alreadyRunning(state: SupervisorState): Running {
  const pids = Object.entries(state.processes).map(([name, { pid }]) => [name, pid] as const);
  const { url, dockUrl, gatewayUrl } = state;
  return {
    url,
    dockUrl,
    gatewayUrl,
    token: null,
    pids: { supervisor: state.supervisor.pid, ...Object.fromEntries(pids) },
  };
}
