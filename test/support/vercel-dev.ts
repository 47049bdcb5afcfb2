import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const CLI = resolve("test/vercel-cli/node_modules/vercel/dist/vc.js");
const PROJECT = { projectId: "prj_oracle", orgId: "team_oracle" };

export type DevAnswer = { status: number; headers: Headers; body: string };

/**
 * The official CLI's `vercel dev`, unmodified and offline: a stub on loopback answers the four requests that it makes
 * of the API. It reads `vercel.json` anew for each request, so that one server answers for many route tables.
 */
export class VercelDev {
  readonly #site: string;
  readonly #root: string;
  readonly #api: Server;
  readonly #child: ChildProcess;
  readonly #origin: string;
  /** Answers with the method and the target that it was asked for: where external rewrites lead. */
  readonly upstream: string;
  #tables = 0;

  private constructor(root: string, api: Server, child: ChildProcess, origin: string) {
    this.#root = root;
    this.#site = join(root, "site");
    this.#api = api;
    this.#child = child;
    this.#origin = origin;
    this.upstream = `${originOf(api)}/upstream`;
  }

  /** @param files by path; each one's content is its own path */
  static async start(files: readonly string[]): Promise<VercelDev> {
    if (!existsSync(CLI))
      throw new Error("The official CLI is not installed: run `npm ci --prefix test/vercel-cli`.");
    const root = await mkdtemp(join(tmpdir(), "signalbox-vercel-dev-"));
    const site = join(root, "site");
    for (const file of files) {
      await mkdir(dirname(join(site, file)), { recursive: true });
      await writeFile(join(site, file), file);
    }
    await mkdir(join(site, ".vercel"), { recursive: true });
    const settings = { framework: null, directoryListing: false, nodeVersion: "24.x" };
    const project = { ...PROJECT, projectName: "oracle", settings };
    await writeFile(join(site, ".vercel/project.json"), JSON.stringify(project));
    await writeFile(join(site, "vercel.json"), tableFile([]));
    const api = createServer((request, response) =>
      answerAsApi(request.method ?? "", request.url ?? "", response),
    );
    api.listen(0, "127.0.0.1");
    await once(api, "listening");
    const child = spawnDev(root, site, originOf(api));
    return new VercelDev(root, api, child, await readyAt(child));
  }

  /** Answers to the requests, in their order, under these routes. */
  async ask(
    routes: readonly object[],
    requests: readonly { method: string; target: string }[],
  ): Promise<DevAnswer[]> {
    const name = String(++this.#tables);
    const mark = { src: "^/__table$", status: 418, headers: { "x-table": name } };
    // Renamed into place: the server also looks when a file changes, and must not find half a table.
    const draft = join(this.#root, "draft.json");
    await writeFile(draft, tableFile([mark, ...routes]));
    await rename(draft, join(this.#site, "vercel.json"));
    // A look that was under way may still answer for the former table.
    while ((await this.#fetch("GET", "/__table")).headers.get("x-table") !== name);
    return Promise.all(requests.map(({ method, target }) => this.#fetch(method, target)));
  }

  async #fetch(method: string, target: string): Promise<DevAnswer> {
    const answer = await fetch(this.#origin + target, { method, redirect: "manual" });
    return { status: answer.status, headers: answer.headers, body: await answer.text() };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      await ended;
    }
    this.#api.closeAllConnections();
    this.#api.close();
    await rm(this.#root, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** With the builder named, there are no routes but these. */
const tableFile = (routes: readonly object[]) =>
  JSON.stringify({ version: 2, builds: [{ src: "**", use: "@vercel/static" }], routes });

const originOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function spawnDev(root: string, site: string, api: string): ChildProcess {
  const home = join(root, "home");
  const args = [
    CLI,
    "dev",
    "--listen",
    "127.0.0.1:0",
    "--yes",
    "--api",
    api,
    "--token",
    "offline",
    "--cwd",
    site,
  ];
  return spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      HOME: home,
      XDG_CONFIG_HOME: join(home, "config"),
      XDG_DATA_HOME: join(home, "data"),
      XDG_CACHE_HOME: join(home, "cache"),
      VERCEL_TELEMETRY_DISABLED: "1",
      NO_UPDATE_NOTIFIER: "1",
    },
  });
}

async function readyAt(child: ChildProcess): Promise<string> {
  let said = "";
  return new Promise((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
      const origin = /Available at (http:\/\/[\w.]+:\d+)/.exec(said)?.[1];
      if (origin) resolve(origin.replace("localhost", "127.0.0.1"));
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("exit", (code) => reject(new Error(`vercel dev ended with ${code}: ${said}`)));
  });
}

function answerAsApi(method: string, url: string, response: ServerResponse): void {
  const { pathname } = new URL(url, "http://api");
  if (pathname.startsWith("/upstream")) {
    response.writeHead(200, { "x-upstream": `${method} ${url}` });
    return void response.end();
  }
  const user = { id: "u", uid: "u", username: "u", email: "u@example.com", name: "U", version: "northstar" };
  const project = {
    id: PROJECT.projectId,
    name: "oracle",
    accountId: PROJECT.orgId,
    createdAt: 1,
    updatedAt: 1,
  };
  const found: Record<string, object> = {
    "/v2/user": { user: { ...user, defaultTeamId: PROJECT.orgId } },
    [`/teams/${PROJECT.orgId}`]: {
      id: PROJECT.orgId,
      slug: "oracle",
      name: "Oracle",
      createdAt: 1,
      billing: {},
    },
    [`/v9/projects/${PROJECT.projectId}`]: { ...project, directoryListing: false, nodeVersion: "24.x" },
    [`/v3/env/pull/${PROJECT.projectId}`]: { env: {}, buildEnv: {} },
  };
  const body = found[pathname];
  response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
  response.end(JSON.stringify(body ?? { error: { code: "not_found", message: `Nothing at ${pathname}.` } }));
}
