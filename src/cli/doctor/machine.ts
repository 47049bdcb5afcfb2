import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { dirname } from "node:path";
import { errorCodeOf } from "../../foundation/errors.ts";
import { formatBytes } from "../terminal/quantity.ts";
import { gitVersion } from "../tree/git.ts";
import { bad, type Check, good } from "./check.ts";

// The first Node in which type stripping is stable.
const NODE_NEEDED = [24, 12] as const;
// A build of an ordinary app with its packages, twice.
const DISK_NEEDED_BYTES = 2e9;

export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  const enough = major > NODE_NEEDED[0] || (major === NODE_NEEDED[0] && minor >= NODE_NEEDED[1]);
  if (enough) return good("node", version);
  return bad("node", version, `Install Node ${NODE_NEEDED.join(".")} or newer: https://nodejs.org`);
}

export async function checkGit(): Promise<Check> {
  const git = await gitVersion();
  if ("version" in git) return good("git", git.version.replace(/^git version /, ""));
  return bad(
    "git",
    "not found",
    "Install it (Debian: apt install git). Without it commits and ignored files are unknown.",
  );
}

/** Free space where the state lies, or will lie. */
export async function checkDisk(dir: string): Promise<Check> {
  let folder = dir;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const found = `${formatBytes(free)} free at ${folder}`;
  if (free >= DISK_NEEDED_BYTES) return good("disk", found);
  return bad(
    "disk",
    found,
    `Free some space: builds want ${formatBytes(DISK_NEEDED_BYTES)}. SIGNALBOX_DIR moves the state.`,
  );
}

/** Whether something listens at the port. */
export function checkListening(name: string, host: string, port: number): Promise<Check> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 3_000 });
    const end = (check: Check) => {
      socket.destroy();
      resolve(check);
    };
    const silent = (why: string) =>
      end(
        bad(name, `nothing answers at ${host}:${port} (${why})`, "Start what is missing: npx signalbox up"),
      );
    socket.on("connect", () => end(good(name, `${host}:${port} answers`)));
    socket.on("timeout", () => silent("timeout"));
    socket.on("error", (error) => silent(errorCodeOf(error) ?? error.message));
  });
}

/** Whether `signalbox up` could listen there. Port 0 is chosen by the system, and always free. */
export function checkFree(name: string, host: string, port: number, variable: string): Promise<Check> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", (error) => {
      const code = errorCodeOf(error) ?? error.message;
      resolve(
        bad(
          name,
          `${host}:${port} cannot be used (${code})`,
          `Stop what holds it, or set ${variable} to another port.`,
        ),
      );
    });
    server.listen({ host, port }, () => server.close(() => resolve(good(name, `${host}:${port} is free`))));
  });
}
