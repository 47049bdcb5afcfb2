import type { AddressInfo } from "node:net";
import { type ServerType, serve } from "@hono/node-server";
import { sql } from "kysely";
import type { Actor, ActorEnv } from "../../src/access/index.ts";
import { slotOf } from "../../src/deployments/index.ts";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import { createDatabase, type Database } from "../../src/foundation/db.ts";
import { createApi } from "../../src/foundation/http.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { silentLog } from "../../src/foundation/log.ts";
import { createSecretBox } from "../../src/foundation/secret-box.ts";
import type { PreviewDeps } from "../../src/previews/deps.ts";
import { existingPreviews, previewRoutes, readKey } from "../../src/previews/index.ts";
import { projectRoutes } from "../../src/projects/index.ts";
import { createGitBranches } from "../../src/providers/pull-requests/git-branches.ts";
import { createGithubPullRequests } from "../../src/providers/pull-requests/github.ts";
import {
  type WebhookDeps,
  type WebhookTables,
  webhookAdminRoutes,
  webhookRoutes,
} from "../../src/webhooks/index.ts";
import { allowedTo } from "./allowed-networks.ts";
import { type FreshDatabase, freshDatabase } from "./database.ts";
import { GITHUB_TOKEN, type GithubDouble, startGithubDouble } from "./github-double.ts";
import { MACHINE_PATH, temporaryDirectory } from "./trees.ts";

const actor = (role: Actor["role"]) => ({ kind: "token", id: `tok_${role}`, name: role, role }) as Actor;
export const AS = { viewer: actor("viewer"), deployer: actor("deployer"), owner: actor("owner") };

type Trigger = Parameters<PreviewDeps["trigger"]>[1] | Parameters<WebhookDeps["trigger"]>[1];

export type PreviewStand = FreshDatabase & {
  readonly db: Database<WebhookTables>;
  readonly github: GithubDouble;
  readonly deps: PreviewDeps & WebhookDeps;
  readonly clock: Clock & { move(ms: number): void };
  /** What the engine was asked to do. */
  readonly triggers: Trigger[];
  readonly closed: { projectId: string; key: string; reason: string }[];
  readonly woken: string[];
  /** Thrown by the engine's functions while set; `after`: although it has acted. */
  readonly fail: { trigger: Error | null; triggerAfter: Error | null; close: Error | null };
  makeProject(name: string): Promise<string>;
  /** The newest deployment of a project moves, as the engine would have it. */
  settle(projectId: string, state: "live" | "failed", url?: string): Promise<void>;
  deploymentsOf(
    projectId: string,
  ): Promise<{ id: string; slot: string; state: string; commit_sha: string | null }[]>;
  audited(action: string): Promise<{ actor_name: string; subject_id: string }[]>;
  request(as: Actor, method: string, path: string, body?: unknown): Promise<{ status: number; body: Answer }>;
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** A request without a token, as GitHub sends it. */
  deliver(path: string, headers: Record<string, string>, body: string | Uint8Array): Promise<Response>;
};

// biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
type Answer = any;
type ProjectDb = Parameters<typeof projectRoutes>[0]["db"];

/** Previews and webhooks on a real Postgres, with GitHub's double; the engine's three functions are stood in for. */
export async function previewStand(): Promise<PreviewStand> {
  const database = await freshDatabase({ migrations: ["control"] });
  const db = createDatabase<WebhookTables>(database.pool);
  const github = await startGithubDouble();
  const cache = await temporaryDirectory();
  const clock = movableClock();
  const seen = { triggers: [] as Trigger[], closed: [] as PreviewStand["closed"], woken: [] as string[] };
  const fail: PreviewStand["fail"] = { trigger: null, triggerAfter: null, close: null };
  const git = {
    cacheDir: cache.path,
    networksOf: allowedTo({}),
    allowLocalPaths: true,
    networkEnv: {},
    path: MACHINE_PATH,
  };
  const deps: PreviewStand["deps"] = {
    db,
    clock,
    log: silentLog,
    box: createSecretBox(new Uint8Array(32).fill(7)),
    providers: {
      github: createGithubPullRequests({ api: github.url, token: GITHUB_TOKEN, clock }),
      branches: createGitBranches(git),
    },
    existing: (projectId) => existingPreviews(db, projectId),
    async trigger(by: Actor, input: Trigger) {
      if (fail.trigger) throw fail.trigger;
      seen.triggers.push(input);
      const id = await insertDeployment(db, by, input, clock.now());
      if (fail.triggerAfter) throw fail.triggerAfter;
      return id;
    },
    async close(_by, input) {
      if (fail.close) throw fail.close;
      seen.closed.push(input);
      await closeDeployments(db, input, clock.now());
    },
    wake: (projectId) => void seen.woken.push(projectId),
  };
  return {
    ...database,
    ...seen,
    ...looksAt(db, clock),
    ...clientOf(deps),
    db,
    github,
    deps,
    clock,
    fail,
    async [Symbol.asyncDispose]() {
      await github.close();
      await database[Symbol.asyncDispose]();
      await cache[Symbol.asyncDispose]();
    },
  };
}

function movableClock(): PreviewStand["clock"] {
  let offsetMs = 0;
  return {
    ...systemClock,
    now: () => new Date(systemClock.now().getTime() + offsetMs),
    move(ms) {
      offsetMs += ms;
    },
  };
}

type Looks = Pick<PreviewStand, "makeProject" | "settle" | "deploymentsOf" | "audited">;

function looksAt(db: Database<WebhookTables>, clock: Clock): Looks {
  return {
    async makeProject(name) {
      const row = {
        id: `prj_${name}`,
        name,
        git_url: null,
        target_project_id: null,
        created_at: clock.now(),
      };
      await db.insertInto("projects").values(row).execute();
      return row.id;
    },
    async settle(projectId, state, url = "http://preview.localhost:8080") {
      const newest = db.selectFrom("deployments").select("id").where("project_id", "=", projectId);
      const live =
        state === "live" ? { live_at: clock.now(), services: JSON.stringify([{ urls: [url] }]) } : {};
      await db
        .updateTable("deployments")
        .set({ state, ...live })
        .where("id", "=", newest.orderBy("seq", "desc").limit(1))
        .execute();
    },
    deploymentsOf: (projectId) =>
      db
        .selectFrom("deployments")
        .select(["id", "slot", "state", "commit_sha"])
        .where("project_id", "=", projectId)
        .orderBy("seq")
        .execute(),
    audited: (action) =>
      db.selectFrom("audit_log").select(["actor_name", "subject_id"]).where("action", "=", action).execute(),
  };
}

function clientOf(deps: PreviewStand["deps"]): Pick<PreviewStand, "request" | "fetch" | "deliver"> {
  const api = apiOf(deps);
  return {
    async request(as, method, path, body) {
      const response = await api.request(path, {
        method,
        headers: { "content-type": "application/json", authorization: `Bearer ${as.role}` },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: text === "" ? null : JSON.parse(text) };
    },
    fetch: api.fetch,
    deliver: async (path, headers, body) =>
      api.request(path, { method: "POST", headers, body: body as string }),
  };
}

export type PreviewServer = AsyncDisposable & { readonly url: string; readonly stand: PreviewStand };

/** The stand's routes behind a real port, with a route for the projects; a token is the name of a role. */
export async function previewServer(): Promise<PreviewServer> {
  const stand = await previewStand();
  const server = await new Promise<ServerType>((resolve) => {
    const started: ServerType = serve({ fetch: stand.fetch, port: 0, hostname: "127.0.0.1" }, () =>
      resolve(started),
    );
  });
  return {
    stand,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      if ("closeAllConnections" in server) server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await stand[Symbol.asyncDispose]();
    },
  };
}

/** Mounted as `src/app.ts` does: webhooks before whoever asks is known. */
function apiOf(deps: PreviewStand["deps"]) {
  const api = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  api.route("/api/webhooks", webhookRoutes(deps));
  api.use("/api/*", async (c, next) => {
    const token = c.req.header("authorization")?.replace("Bearer ", "") ?? "viewer";
    c.set("actor", AS[token as keyof typeof AS]);
    await next();
  });
  api.route(
    "/api",
    projectRoutes({
      ...deps,
      db: deps.db as unknown as ProjectDb,
      ids: randomIds,
    }),
  );
  api.route("/api", previewRoutes(deps));
  api.route("/api", webhookAdminRoutes(deps));
  return api;
}

/** As the engine does: a key that was used finds the first one. */
async function insertDeployment(
  db: Database<WebhookTables>,
  by: Actor,
  input: Trigger,
  now: Date,
): Promise<string> {
  const pullRequest = "pullRequest" in input ? (input.pullRequest ?? null) : null;
  const slot = slotOf(input.environment, input.branch ?? null, pullRequest);
  await sql`insert into deployments (id, project_id, environment, slot, branch, commit_sha, dirty, source, force, state,
      state_since, actor_name, idempotency_key, created_at, updated_at)
    select ${randomIds("dep")}, projects.id, ${input.environment}, ${slot}, ${input.branch}, ${input.commit ?? null},
      false, ${JSON.stringify(input.source)}, false, 'queued', ${now}, ${by.name}, ${input.deliveryKey}, ${now}, ${now}
    from projects where name = ${input.project}
    on conflict (coalesce(actor_id, ''), idempotency_key) where idempotency_key is not null do nothing`.execute(
    db,
  );
  const { id } = await db
    .selectFrom("deployments")
    .select("id")
    .where("idempotency_key", "=", input.deliveryKey)
    .executeTakeFirstOrThrow();
  return id;
}

async function closeDeployments(
  db: Database<WebhookTables>,
  { projectId, key }: { projectId: string; key: string },
  now: Date,
): Promise<void> {
  const { branch, pullRequest } = readKey(key);
  const slot = slotOf("preview", branch, pullRequest);
  await sql`update deployments set retired_at = ${now}, cleanup = null,
      state = case state when 'live' then 'superseded' when 'queued' then 'canceled' else state end
    where project_id = ${projectId} and slot = ${slot}`.execute(db);
}
