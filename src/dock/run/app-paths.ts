import { createHash } from "node:crypto";
import { lstatSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../../foundation/errors.ts";

/** Names the release's socket for the preload, and marks every process of the release. */
export const APP_MARKER = "SIGNALBOX_APP_SOCKET";

// The kernel's limit is 107 bytes; some languages' libraries stop earlier.
const LONGEST_SOCKET_PATH = 99;
// The longest deployment id that is used as it is, with `.sock`.
const LONGEST_NAME = 40;

export type AppPaths = {
  /** Where the sockets are; a short one when `dir` is too deep for a socket's path. */
  readonly sockets: string;
  readonly apps: string;
  socket(deploymentId: string): string;
  /** Everything else of one app. */
  folder(deploymentId: string): string;
};

export function createAppPaths(dir: string): AppPaths {
  const inside = join(dir, "run");
  const fits = Buffer.byteLength(inside) + 1 + LONGEST_NAME <= LONGEST_SOCKET_PATH;
  const sockets = fits ? inside : join("/tmp", `signalbox-${digest(dir)}`);
  const apps = join(dir, "apps");
  return {
    sockets,
    apps,
    socket: (deploymentId) => join(sockets, `${nameOf(deploymentId)}.sock`),
    folder: (deploymentId) => join(apps, nameOf(deploymentId)),
  };
}

/** Makes the sockets' directory, for this user only: who can reach a socket can talk to the app past the gateway. */
export function makeSocketDirectory(paths: AppPaths): void {
  mkdirSync(paths.sockets, { recursive: true, mode: 0o700 });
  const facts = lstatSync(paths.sockets);
  if (facts.isDirectory() && facts.uid === process.getuid?.()) return;
  throw new AppError("unavailable", `The directory for sockets, ${paths.sockets}, belongs to someone else.`, {
    hint: "Remove it, or set SIGNALBOX_DIR to a shorter path.",
  });
}

export function nameOf(deploymentId: string): string {
  return /^[A-Za-z0-9][\w-]{0,34}$/.test(deploymentId) ? deploymentId : `x${digest(deploymentId)}`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 20);
}
