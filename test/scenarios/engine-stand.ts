import {
  type AccessTables,
  type Actor,
  type ActorEnv,
  createToken,
  systemActor,
} from "../../src/access/index.ts";
import {
  type DeploymentView,
  deploymentRoutes,
  type Engine,
  type Preparation,
  startEngine,
} from "../../src/deployments/index.ts";
import type { EngineTables } from "../../src/deployments/tables.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { createDatabase, type Database } from "../../src/foundation/db.ts";
import { createApi } from "../../src/foundation/http.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { silentLog } from "../../src/foundation/log.ts";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { createSimulatedTarget, type SimulatedTarget } from "./simulated-target.ts";

export const PREPARATION: Omit<Preparation, "branch" | "commit"> = {
  files: [{ path: "index.html", sha1: "a".repeat(40), size: 1, mode: 0o100644 }],
  settings: {},
  env: {},
  strategy: { kind: "instant" },
  health: {
    path: "/",
    timeoutMs: 1_000,
    intervalMs: 20,
    minHealthyMs: null,
    deadlineMs: 5_000,
    expectStatus: [200, 399],
  },
  targetProjectId: "prj_shop",
};

export type World = {
  /** Status that each release answers with; 200 when it is not named. */
  readonly status: Map<string, number>;
  readonly counters: Record<string, { requests: number; errors5xx: number }>;
  preparation: Omit<Preparation, "branch" | "commit">;
  /** Awaited by every `prepare`. */
  prepareGate: Promise<unknown>;
};

export type Stand = FreshDatabase & {
  readonly db: Database<EngineTables>;
  readonly target: SimulatedTarget;
  readonly world: World;
  readonly engine: Engine;
  /** A second control plane on the same database. */
  startAnother(): Promise<Engine>;
  readonly as: { readonly viewer: Actor; readonly deployer: Actor; readonly other: Actor };
  http(actor: Actor): ReturnType<typeof client>;
};

/** A real engine and its HTTP API on a real Postgres, with a simulated target, probe and gateway. */
export async function engineStand(): Promise<Stand> {
  const database = await freshDatabase({ migrations: ["control"] });
  const db = createDatabase<EngineTables>(database.pool);
  const target = createSimulatedTarget(() => systemClock.now());
  const world: World = {
    status: new Map(),
    counters: {},
    preparation: PREPARATION,
    prepareGate: Promise.resolve(),
  };
  const engines: Engine[] = [];
  const start = async () => {
    const engine = await startEngine({
      claims: db as unknown as Database<AccessTables>,
      db,
      pool: database.pool,
      databaseUrl: database.databaseUrl,
      clock: systemClock,
      ids: randomIds,
      log: silentLog,
      workerId: randomIds("wrk"),
      target,
      metrics: { readCounters: async () => world.counters },
      probe: async (url) => ({ ok: true, latencyMs: 1, ...answerOf(url, target, world.status) }),
      prepare: async (input, signal) => {
        const aborted = new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason)),
        );
        await Promise.race([world.prepareGate, aborted]);
        return { ...world.preparation, branch: input.branch, commit: input.commit };
      },
      resupply: async () => {},
      requireSource: async () => {},
    });
    engines.push(engine);
    return engine;
  };
  const engine = await start();
  await makeProject(database.pool, "shop");
  return {
    ...database,
    db,
    target,
    world,
    engine,
    startAnother: start,
    as: await actors(db),
    http: (actor: Actor) => client(engine, actor),
    async [Symbol.asyncDispose]() {
      for (const each of engines) await each.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

function answerOf(
  url: string,
  target: SimulatedTarget,
  status: ReadonlyMap<string, number>,
): { status: number; deploymentHeader?: string } {
  const host = new URL(url).hostname.replace(".localhost", "");
  if (host.startsWith("dpl_")) return { status: status.get(host) ?? 200 };
  const [project = "", environment = ""] = host.split("-");
  const traffic = target.trafficAt({ project, environment: environment as "production", branch: "main" });
  const serving = Object.keys(traffic)[0];
  return serving ? { status: status.get(serving) ?? 200, deploymentHeader: serving } : { status: 404 };
}

/** A project, as the projects domain makes it. */
export async function makeProject(pool: FreshDatabase["pool"], name: string): Promise<void> {
  const row = [`prj_${name}`, name, systemClock.now()];
  await pool.query("insert into projects (id, name, created_at) values ($1, $2, $3)", row);
}

async function actors(db: Database<EngineTables>): Promise<Stand["as"]> {
  const deps = { db: db as unknown as Database<AccessTables>, clock: systemClock, ids: randomIds };
  const make = async (role: "viewer" | "deployer"): Promise<Actor> => {
    const { id } = await createToken(deps, systemActor("test"), { name: role, role });
    return { kind: "token", id, name: role, role };
  };
  return { viewer: await make("viewer"), deployer: await make("deployer"), other: await make("deployer") };
}

/** The API as this actor meets it. */
function client(engine: Engine, actor: Actor) {
  const api = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  api.use(async (c, next) => {
    c.set("actor", actor);
    await next();
  });
  api.route("/api/deploy", deploymentRoutes(engine.deps));
  const call = async (path: string, init: RequestInit = {}) => {
    const response = await api.request(`/api/deploy${path}`, init);
    // biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
    return { status: response.status, body: (await response.json()) as any };
  };
  return {
    raw: (path: string, init: RequestInit = {}) => api.request(`/api/deploy${path}`, init),
    get: (path: string) => call(path),
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      call(path, {
        method: "POST",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      }),
  };
}

/** Waits, by the engine's own notices, until the deployment is in one of the states. */
export async function reached(stand: Stand, id: string, ...states: string[]): Promise<DeploymentView> {
  const api = client(stand.engine, stand.as.viewer);
  for (;;) {
    const changed = Promise.withResolvers<void>();
    const stop = stand.engine.deps.onChange(id, changed.resolve);
    try {
      const { body } = await api.get(`/status/${id}`);
      if (states.includes(body.deployment.state)) return body.deployment;
      if (["failed", "canceled"].includes(body.deployment.state)) {
        throw new Error(`${id} ended as ${body.deployment.state}: ${body.deployment.reason}`);
      }
      await changed.promise;
    } finally {
      stop();
    }
  }
}

const TREE = { tree: "b".repeat(64) };

/** Triggers a deployment and returns its id. */
export async function trigger(stand: Stand, body: Record<string, unknown> = {}): Promise<string> {
  const request = { environment: "production", branch: "main", source: TREE, ...body };
  const answer = await client(stand.engine, stand.as.deployer).post("/trigger", request);
  if (answer.status !== 202) throw new Error(JSON.stringify(answer.body));
  return answer.body.deploymentId;
}

/** Triggers a deployment and waits until it is live. */
export async function ship(stand: Stand, body: Record<string, unknown> = {}): Promise<DeploymentView> {
  return reached(stand, await trigger(stand, body), "live");
}
