import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "../../src/foundation/clock.ts";
import type { FrameworkApp, Question } from "./framework-apps.ts";
import { MACHINE_PATH, NETWORK_ENV } from "./trees.ts";

const run = promisify(execFile);
const LARGEST_LOG = 64 * 2 ** 20;

export type Answer = {
  status: number;
  type: string | null;
  location: string | null;
  header: unknown;
  body: string;
};

export async function ask(
  server: Pick<Server, "origin">,
  { path, except: _, ...init }: Question,
): Promise<Answer> {
  const response = await fetch(`${server.origin}${path}`, { redirect: "manual", ...init });
  return answerOf(response, server.origin.slice("http://".length));
}

/** @param host the server's own, which an answer may name */
export async function answerOf(response: Response, host: string): Promise<Answer> {
  const body = Buffer.from(await response.arrayBuffer()).toString("latin1");
  const { headers } = response;
  return {
    status: response.status,
    type: headers.get("content-type")?.toLowerCase().replace("; ", ";") ?? null,
    location: headers.get("location")?.replace(/^https?:\/\/[^/]+/, "") ?? null,
    header: [headers.get("x-app"), headers.get("x-middleware-saw")],
    // The time at which a page was made is its own.
    body: (host === "" ? body : body.replaceAll(host, "HOST")).replaceAll(/made at[^\d]{0,20}\d+/g, "made"),
  };
}

export function without(answer: Answer, { except = [] }: Question): Partial<Answer> {
  return Object.fromEntries(Object.entries(answer).filter(([name]) => !except.some((one) => one === name)));
}

export const buildEnv = (home: string) => ({
  ...NETWORK_ENV,
  PATH: MACHINE_PATH,
  HOME: home,
  CI: "1",
  NEXT_TELEMETRY_DISABLED: "1",
  ASTRO_TELEMETRY_DISABLED: "1",
  VERCEL_TELEMETRY_DISABLED: "1",
  NO_UPDATE_NOTIFIER: "1",
});

/** A copy of the app with what its lockfile says. */
export async function installed(app: Pick<FrameworkApp, "name">, directory: string): Promise<string> {
  await cp(resolve("test/apps", app.name), directory, { recursive: true });
  const home = join(directory, "../home");
  await mkdir(home, { recursive: true });
  await run("npm", ["install", "--no-save"], { cwd: directory, env: buildEnv(home), maxBuffer: LARGEST_LOG });
  return directory;
}

export type Server = { readonly origin: string; stop(): Promise<void> };

/** Starts a server that listens on `PORT`, and waits until it answers. */
export async function serve(program: string, args: string[], cwd: string, home: string): Promise<Server> {
  const port = await freePort();
  const env = {
    PATH: `${join(cwd, "node_modules/.bin")}:${MACHINE_PATH}`,
    HOME: join(home, "run"),
    PORT: String(port),
    NODE_ENV: "production",
    VERCEL_URL: `127.0.0.1:${port}`,
  };
  const child: ChildProcess = spawn(program, args, { cwd, env, stdio: ["ignore", "ignore", "inherit"] });
  const origin = `http://127.0.0.1:${port}`;
  const ended = once(child, "exit");
  let exited = false;
  void ended.then(() => {
    exited = true;
  });
  const up = () =>
    fetch(origin, { redirect: "manual" }).then(
      () => true,
      () => false,
    );
  while (!exited && !(await up())) await systemClock.sleep(100);
  if (exited) throw new Error(`${program} ${args.join(" ")} ended before it listened`);
  return {
    origin,
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  return typeof address === "object" && address ? address.port : 0;
}
