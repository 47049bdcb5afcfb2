import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { AppError, errorCodeOf } from "../foundation/errors.ts";
import { isAlive, startTimeOf } from "../foundation/process.ts";

/** A process for ever: pids are reused, (pid, start time) pairs are not. */
export type ProcessName = { readonly pid: number; readonly startTime: string | null };

export function nameOf(pid: number): ProcessName {
  return { pid, startTime: startTimeOf(pid) };
}

export function lives(name: ProcessName): boolean {
  return isAlive(name.pid) && startTimeOf(name.pid) === name.startTime;
}

/**
 * Makes this process the only supervisor of `dir`; `tookOver` when an earlier one died without letting go. What
 * excludes others is an abstract unix socket, which the kernel gives to one process and takes back at its death,
 * however it dies; `<dir>/supervisor.lock` says who it is, also to those in another network namespace.
 * @throws AppError `conflict` while another supervisor lives that holds it.
 */
export async function lockDirectory(dir: string): Promise<{ tookOver: boolean; release(): Promise<void> }> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, "supervisor.lock");
  const socket = await claimName(dir);
  const holder = await readHolder(file);
  if (socket === null || (holder !== null && lives(holder))) {
    socket?.close();
    throw heldBy(holder, dir);
  }
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, JSON.stringify(nameOf(process.pid)));
  await rename(partial, file);
  return {
    tookOver: holder !== null,
    release: async () => {
      await rm(file, { force: true });
      socket.close();
    },
  };
}

/** Null: another process has it. Only Linux has abstract sockets; elsewhere the file alone must do. */
function claimName(dir: string): Promise<Server | null> {
  const server = createServer().unref();
  if (process.platform !== "linux") return Promise.resolve(server);
  const name = createHash("sha256").update(`${process.getuid?.()}:${dir}`).digest("hex");
  return new Promise((resolve, reject) => {
    server.once("error", (error) => (errorCodeOf(error) === "EADDRINUSE" ? resolve(null) : reject(error)));
    server.listen(`\0signalbox-${name}`, () => resolve(server));
  });
}

async function readHolder(file: string): Promise<ProcessName | null> {
  const text = await readFile(file, "utf8").catch(() => null);
  return text === null ? null : (JSON.parse(text) as ProcessName);
}

function heldBy(holder: ProcessName | null, dir: string): AppError {
  const who = holder
    ? `Another supervisor (pid ${holder.pid})`
    : "Another supervisor, which is just starting,";
  return new AppError("conflict", `${who} holds ${dir}.`, {
    hint: "Use it as it is, stop it with `signalbox down`, or choose another folder with SIGNALBOX_DIR.",
  });
}
