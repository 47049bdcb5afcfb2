import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type ServerType, serve } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { Ajv, type ValidateFunction } from "ajv";
import { type Context, Hono } from "hono";

type Json = Record<string, unknown>;
type Recorded = { readonly name: string; readonly examples: readonly Json[] };

/** Webhook payloads as GitHub sends them, recorded by octokit. */
export const RECORDED: readonly Recorded[] = createRequire(import.meta.url)("@octokit/webhooks-examples");

/** The recorded payload of an event; `where` picks among several. */
export function recorded(event: string, where: (payload: Json) => boolean = () => true): Json {
  const found = RECORDED.find(({ name }) => name === event)?.examples.find(where);
  if (!found) throw new Error(`octokit recorded no such ${event}`);
  return structuredClone(found);
}

export type PullInput = {
  readonly number: number;
  readonly branch?: string;
  readonly sha?: string;
  /** Its commits are in somebody else's repository. */
  readonly fork?: boolean;
};

/** What the next request for a page is answered instead. */
export type Fault = {
  readonly page?: number;
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** The connection ends in the middle of the answer. */
  readonly cut?: boolean;
};

/** A real HTTP server that speaks the part of GitHub's REST API that Signalbox uses. */
export type GithubDouble = {
  readonly url: string;
  readonly repository: string;
  /** Open and closed ones, by number. */
  readonly pulls: Map<number, Json>;
  readonly statuses: { sha: string; body: Json }[];
  readonly comments: { id: number; issue: number; body: string }[];
  readonly seen: { method: string; path: string; authorization: string | null }[];
  faults: Fault[];
  /** Numbers that lists leave out, as when they move from one page to another between two requests. */
  readonly missing: Set<number>;
  open(pull: PullInput): void;
  push(number: number, sha: string): void;
  closePull(number: number): void;
  close(): Promise<void>;
};

const REPOSITORY = "Codertocat/Hello-World";
export const GITHUB_TOKEN = "ghp_test";

export async function startGithubDouble(): Promise<GithubDouble> {
  const app = new Hono();
  const server = await new Promise<ServerType>((resolve) => {
    const started: ServerType = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () =>
      resolve(started),
    );
  });
  const double: GithubDouble = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    repository: REPOSITORY,
    pulls: new Map(),
    statuses: [],
    comments: [],
    seen: [],
    faults: [],
    missing: new Set(),
    open: (input) => void double.pulls.set(input.number, pullOf(input)),
    push(number, sha) {
      Object.assign(double.pulls.get(number)?.head as Json, { sha });
    },
    closePull(number) {
      Object.assign(double.pulls.get(number) ?? {}, { state: "closed" });
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
  addGuards(app, double);
  addPulls(app, double);
  addReports(app, double);
  return double;
}

/** A recorded pull request with other particulars. */
function pullOf({
  number,
  branch = `feature-${number}`,
  sha = shaOf(number),
  fork = false,
}: PullInput): Json {
  const { pull_request } = recorded("pull_request") as { pull_request: Json };
  const head = pull_request.head as { ref: string; sha: string; repo: Json | null };
  Object.assign(pull_request, { number, state: "open", auto_merge: null });
  Object.assign(head, { ref: branch, sha });
  if (fork) Object.assign(head.repo ?? {}, { id: 7, clone_url: "https://github.com/eve/Hello-World.git" });
  return pull_request;
}

export function shaOf(number: number): string {
  return number.toString(16).padStart(40, "0");
}

function addGuards(app: Hono, double: GithubDouble): void {
  app.use(async (c, next) => {
    const authorization = c.req.header("authorization") ?? null;
    double.seen.push({ method: c.req.method, path: c.req.path, authorization });
    const at = double.faults.findIndex(({ page }) => page === undefined || page === pageOf(c).page);
    const [fault] = at === -1 ? [] : double.faults.splice(at, 1);
    if (fault?.cut) return cutOff(c);
    if (fault) {
      const headers = { "content-type": "application/json", ...fault.headers };
      return new Response(fault.body ?? '{"message":"fault"}', { status: fault.status ?? 500, headers });
    }
    if (authorization !== `token ${GITHUB_TOKEN}`) return c.json({ message: "Bad credentials" }, 401);
    if (!c.req.path.startsWith(`/repos/${REPOSITORY}/`)) return c.json({ message: "Not Found" }, 404);
    return next();
  });
}

/** Announces more than it sends. */
function cutOff(c: Context): Response {
  const { outgoing } = c.env as { outgoing: import("node:http").ServerResponse };
  outgoing.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
  outgoing.write('[{"number":', () => outgoing.destroy());
  return RESPONSE_ALREADY_SENT;
}

function addPulls(app: Hono, double: GithubDouble): void {
  app.get("/repos/:owner/:repo/pulls", (c) => {
    const { state = "open", direction = "desc" } = c.req.query();
    const listed = [...double.pulls.values()]
      .filter((pull) => state === "all" || pull.state === state)
      .filter((pull) => !double.missing.has(Number(pull.number)))
      .sort((a, b) => (Number(a.number) - Number(b.number)) * (direction === "asc" ? 1 : -1));
    return paged(c, "pullList", listed);
  });
  app.get("/repos/:owner/:repo/pulls/:number", (c) => {
    const pull = double.pulls.get(Number(c.req.param("number")));
    return pull ? answer(c, "pull", pull) : c.json({ message: "Not Found" }, 404);
  });
}

function addReports(app: Hono, double: GithubDouble): void {
  app.post("/repos/:owner/:repo/statuses/:sha", async (c) => {
    const body = await accepted(c, "status");
    if (body instanceof Response) return body;
    double.statuses.push({ sha: c.req.param("sha"), body });
    const {
      commit: _,
      sha: __,
      name: ___,
      branches: ____,
      repository: _____,
      ...status
    } = recorded("status");
    const url = "https://api.github.com/repos/x/y/statuses/1";
    return answer(
      c,
      "status",
      { ...status, ...body, url, creator: null, avatar_url: null, node_id: "S" },
      201,
    );
  });
  app.get("/repos/:owner/:repo/issues/:number/comments", (c) => {
    const own = double.comments.filter(({ issue }) => issue === Number(c.req.param("number")));
    return paged(c, "comments", own.map(commentBody));
  });
  app.post("/repos/:owner/:repo/issues/:number/comments", async (c) => {
    const body = await accepted(c, "comment");
    if (body instanceof Response) return body;
    const made = {
      id: double.comments.length + 1,
      issue: Number(c.req.param("number")),
      body: String(body.body),
    };
    double.comments.push(made);
    return answer(c, "comment", commentBody(made), 201);
  });
  app.patch("/repos/:owner/:repo/issues/comments/:id", async (c) => {
    const body = await accepted(c, "commentUpdate");
    if (body instanceof Response) return body;
    const found = double.comments.find(({ id }) => id === Number(c.req.param("id")));
    if (!found) return c.json({ message: "Not Found" }, 404);
    found.body = String(body.body);
    return answer(c, "commentUpdate", commentBody(found));
  });
}

function commentBody({ id, body }: { id: number; body: string }): Json {
  const { comment } = recorded("issue_comment") as { comment: Json };
  return { ...comment, id, body };
}

function pageOf(c: Context): { page: number; size: number } {
  return { page: Number(c.req.query("page") ?? 1), size: Number(c.req.query("per_page") ?? 30) };
}

/** One page, and the `Link` to the next one. Source: GitHub, "Using pagination in the REST API". */
function paged(c: Context, operation: string, all: readonly Json[]): Response {
  const { page, size } = pageOf(c);
  const next = new URL(c.req.url);
  next.searchParams.set("page", String(page + 1));
  if (all.length > page * size) c.header("link", `<${next.href}>; rel="next"`);
  return answer(c, operation, all.slice((page - 1) * size, page * size));
}

type Operation = { request?: object; response: object };
const { definitions, operations } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../contract/github-api.schema.json"), "utf8"),
) as { definitions: object; operations: Record<string, Operation> };
const ajv = new Ajv({ strict: false, validateFormats: false });
const validators = new Map<string, ValidateFunction>();

/** What is wrong with a body by GitHub's own description of the operation; null: nothing. */
export function problemWith(operation: string, part: keyof Operation, body: unknown): string | null {
  const name = `${operation} ${part}`;
  const validate = validators.get(name) ?? ajv.compile({ definitions, ...operations[operation]?.[part] });
  validators.set(name, validate);
  return validate(body) ? null : `${name}: ${ajv.errorsText(validate.errors)}`;
}

/** The body of a request, or GitHub's 422. */
async function accepted(c: Context, operation: string): Promise<Json | Response> {
  const body = await c.req.json();
  const message = problemWith(operation, "request", body);
  return message === null ? body : c.json({ message }, 422);
}

function answer(c: Context, operation: string, body: unknown, status: 200 | 201 = 200): Response {
  const problem = problemWith(operation, "response", body);
  if (problem !== null) throw new Error(`the double is not as GitHub is: ${problem}`);
  return c.json(body as Json, status);
}
