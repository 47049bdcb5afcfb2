/**
 * The output server: a program that serves one release with functions. Its working directory is the release's tree;
 * the runner's preload sends its `listen` to the release's socket.
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../foundation/clock.ts";
import { messageOf } from "../../foundation/errors.ts";
import { functionEnvironment } from "./functions/function-environment.ts";
import { createOutputServer } from "./server.ts";

// The kernel takes 107 bytes for a socket's path; a socket's own name needs 20 of them.
const LONGEST_DIRECTORY = 80;
// Less than the runner's own grace, so that functions end by themselves.
const GRACE_MS = 8_000;

const env = process.env;
const home = join(env.HOME ?? "/tmp", "output");

try {
  start();
} catch (error) {
  console.error(`The Build Output cannot be served: ${messageOf(error)}`);
  process.exit(1);
}

function start(): void {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const output = createOutputServer({
    root: process.cwd(),
    home,
    sockets: socketDirectory(),
    env: functionEnvironment(env, join(home, "function-home")),
    deploymentUrl: env.VERCEL_URL ?? "",
    allowNetworks: (env.SIGNALBOX_ALLOW_NETWORKS ?? "").split(",").filter((cidr) => cidr.trim() !== ""),
    clock: systemClock,
    bornAtMs: bornAt(),
    write: (line) => process.stdout.write(line),
  });
  output.server.listen(Number(env.PORT) || 3000);
  const stop = () => {
    output.close(GRACE_MS).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

/** Sockets of an earlier process that was killed go with their directory. */
function socketDirectory(): string {
  const inside = join(home, "s");
  if (Buffer.byteLength(inside) > LONGEST_DIRECTORY) return sharedDirectory();
  rmSync(inside, { recursive: true, force: true });
  return inside;
}

/**
 * In /tmp, where everybody may write. Only a directory that this process made itself is used: in one that somebody
 * else put there, the functions' sockets could be exchanged.
 */
function sharedDirectory(): string {
  const digest = createHash("sha256").update(home).digest("hex").slice(0, 16);
  const usual = join("/tmp", `signalbox-fn-${digest}`);
  try {
    rmSync(usual, { recursive: true, force: true });
    mkdirSync(usual, { mode: 0o700 });
    return usual;
  } catch {
    return mkdtempSync(`${usual}-`);
  }
}

/** When the release was first started, over restarts. */
function bornAt(): number {
  const file = join(home, "born");
  try {
    writeFileSync(file, String(systemClock.now().getTime()), { flag: "wx" });
  } catch {
    // It was started before.
  }
  return Number(readFileSync(file, "utf8")) || systemClock.now().getTime();
}
