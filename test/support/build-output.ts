import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { temporaryDirectory } from "./trees.ts";

/** A release's `.vercel/output`, written by hand. */
export type HandMade = {
  readonly config?: object;
  /** Path below `static/` → content. */
  readonly files?: Readonly<Record<string, string>>;
  /** Path below `functions/` without `.func` → code of `index.js`, or all files and the configuration. */
  readonly functions?: Readonly<Record<string, string | HandMadeFunction>>;
  /** Path below `functions/` → path of another function, as `vercel build` writes one that is used twice. */
  readonly links?: Readonly<Record<string, string>>;
  /** Path below `functions/` → `.prerender-config.json`. */
  readonly prerenders?: Readonly<Record<string, object>>;
  /** Path below the release's root → content. */
  readonly tree?: Readonly<Record<string, string>>;
};

export type HandMadeFunction = {
  readonly files?: Readonly<Record<string, string | Buffer>>;
  readonly config?: object;
};

const NODE = { runtime: "nodejs24.x", handler: "index.js", launcherType: "Nodejs", shouldAddHelpers: true };
export const EDGE = { runtime: "edge", entrypoint: "index.js", deploymentTarget: "v8-worker" };

export async function writeOutput(root: string, made: HandMade): Promise<void> {
  const output = join(root, ".vercel/output");
  await put(join(output, "config.json"), JSON.stringify({ version: 3, ...made.config }));
  for (const [path, text] of Object.entries(made.files ?? {})) await put(join(output, "static", path), text);
  for (const [path, text] of Object.entries(made.tree ?? {})) await put(join(root, path), text);
  for (const [path, given] of Object.entries(made.functions ?? {})) {
    const { files, config } =
      typeof given === "string" ? { files: { "index.js": given }, config: {} } : given;
    const folder = join(output, "functions", `${path}.func`);
    await put(join(folder, ".vc-config.json"), JSON.stringify({ ...NODE, ...config }));
    for (const [name, content] of Object.entries(files ?? {})) await put(join(folder, name), content);
  }
  for (const [path, target] of Object.entries(made.links ?? {})) {
    const link = join(output, "functions", `${path}.func`);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(output, "functions", `${target}.func`), link);
  }
  for (const [path, config] of Object.entries(made.prerenders ?? {})) {
    await put(join(output, "functions", `${path}.prerender-config.json`), JSON.stringify(config));
  }
}

async function put(path: string, content: string | Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

export type Answered = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
};

export type Asked = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
};

/** One request over a unix socket; its answer is not read yet. */
export function open(socket: string, path: string, asked: Asked = {}): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { method = asked.body === undefined ? "GET" : "POST", headers = {}, body } = asked;
  const request = http.request({
    socketPath: socket,
    path,
    method,
    agent: false,
    headers: { host: "app.test", ...headers },
  });
  request.once("response", resolve);
  request.once("error", reject);
  request.end(body);
  return promise;
}

export async function askSocket(socket: string, path: string, asked: Asked = {}): Promise<Answered> {
  const answer = await open(socket, path, asked);
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    body: Buffer.concat(chunks).toString("utf8"),
  };
}

export type RuntimeLine = Readonly<Record<string, unknown>> & { readonly message: string };

/** The output server as a program of its own, on a unix socket by the runner's preload. */
export type OutputProcess = AsyncDisposable & {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly socket: string;
  /** What it and its functions wrote, runtime lines parsed. */
  readonly lines: RuntimeLine[];
  /** Resolves with the first line, also of the past, that fits. */
  line(fits: (line: RuntimeLine) => boolean): Promise<RuntimeLine>;
  ask(path: string, asked?: Asked): Promise<Answered>;
};

const MAIN = resolve("src/dock/output/main.ts");
const PRELOAD = resolve("src/dock/run/listen-preload.mjs");

/** @param output what becomes of its lines: `lines` has them, or they are thrown away unread */
export async function startOutput(
  made: HandMade,
  env: Record<string, string> = {},
  output: "pipe" | "ignore" = "pipe",
): Promise<OutputProcess> {
  const place = await temporaryDirectory();
  const root = join(place.path, "tree");
  const socket = join(place.path, "app.sock");
  await mkdir(join(place.path, "home"));
  await writeOutput(root, made);
  const own = {
    PATH: process.env.PATH ?? "",
    HOME: join(place.path, "home"),
    PORT: "3000",
    NODE_ENV: "production",
  };
  const child = spawn(process.execPath, [MAIN], {
    cwd: root,
    env: { ...own, NODE_OPTIONS: `--import=${PRELOAD}`, SIGNALBOX_APP_SOCKET: socket, ...env },
    stdio: ["ignore", output, "inherit"],
  });
  const exited = new Promise<void>((done) => child.once("exit", () => done()));
  const { lines, line } = readLines(child);
  await untilUp(socket, exited);
  return {
    ...{ child, pid: child.pid ?? 0, socket, lines, line },
    ask: (path, asked) => askSocket(socket, path, asked),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      await place[Symbol.asyncDispose]();
    },
  };
}

function readLines(child: ChildProcess) {
  const lines: RuntimeLine[] = [];
  const waiting = new Set<(line: RuntimeLine) => void>();
  const input = child.stdout ?? Readable.from([]);
  createInterface({ input }).on("line", (text) => {
    const line = parse(text);
    lines.push(line);
    for (const one of waiting) one(line);
  });
  const line = (fits: (line: RuntimeLine) => boolean) => {
    const past = lines.find(fits);
    if (past) return Promise.resolve(past);
    return new Promise<RuntimeLine>((done) => {
      const look = (next: RuntimeLine) => {
        if (!fits(next)) return;
        waiting.delete(look);
        done(next);
      };
      waiting.add(look);
    });
  };
  return { lines, line };
}

function parse(text: string): RuntimeLine {
  return text.startsWith('{"signalbox":"runtime"') ? JSON.parse(text) : { message: text };
}

async function untilUp(socket: string, exited: Promise<void>): Promise<void> {
  let gone = false;
  exited.then(() => {
    gone = true;
  });
  while (!gone) {
    const answered = await askSocket(socket, "/__up").catch(() => null);
    if (answered !== null) return;
    await new Promise((done) => setTimeout(done, 10));
  }
  throw new Error("The output server ended before it answered.");
}
