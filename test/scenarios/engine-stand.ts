import {
  type AccessTables,
  type Actor,
  type ActorEnv,
  createToken,
  systemActor,
} from "../../src/access/index.ts";
import type { Unwell } from "../../src/deployments/index.ts";
import {
  type CountersOf,
  type DeploymentView,
  deploymentRoutes,
  type Engine,
  type EngineOptions,
  type HealthPolicy,
  type Plan,
  type Preparation,
  type PrepareInput,
  type ServicePreparation,
  startEngine,
} from "../../src/deployments/index.ts";
import type { EngineTables } from "../../src/deployments/tables.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { createDatabase, type Database } from "../../src/foundation/db.ts";
import { AppError } from "../../src/foundation/errors.ts";
import { createApi } from "../../src/foundation/http.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { silentLog } from "../../src/foundation/log.ts";
import { type GateTables, readGateFacts } from "../../src/gates/index.ts";
import { LATENCY_BOUNDS_MS, type ServiceCounters, type Strategy } from "../../src/rollouts/index.ts";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { createSimulatedTarget, type SimulatedTarget } from "./simulated-target.ts";

export const HEALTH: HealthPolicy = {
  checks: [{ type: "http", path: "/", expectStatus: [200, 399], contains: null }],
  timeoutMs: 1_000,
  intervalMs: 20,
  minHealthyMs: null,
  graceMs: 0,
  deadlineMs: 5_000,
};

export const PLAN: Plan = {
  strategy: { kind: "instant" },
  gate: { approvals: null, waitMs: 0 },
  schema: null,
  progressDeadlineMs: null,
  rollbackWindowMs: 3_600_000,
  steppedRollback: false,
  drainMs: 0,
};

export const SERVICE: Omit<ServicePreparation, "targetProject" | "targetProjectId"> = {
  name: "app",
  settings: {},
  env: {},
  health: HEALTH,
  inputs: "same",
};

export type StandPreparation = {
  readonly plan: Plan;
  /** One of this name has the project's own hosts; any other `<project>-<name>`. */
  readonly services: readonly (typeof SERVICE)[];
};

export const PREPARATION: StandPreparation = { plan: PLAN, services: [SERVICE] };

/** What the environment's strategy is. */
export function withStrategy(strategy: Strategy): StandPreparation {
  return { ...PREPARATION, plan: { ...PLAN, strategy } };
}

export type World = {
  /** Status that each release answers with; 200 when it is not named. */
  readonly status: Map<string, number>;
  readonly counters: Record<string, { requests: number; errors5xx: number }>;
  preparation: StandPreparation;
  /** Phases that were applied, `expand dep_1`; a phase named in `failing` fails. */
  readonly migrated: string[];
  failing: "expand" | "contract" | null;
  /** What stands between the database and any earlier release. */
  barrier: ReturnType<Awaited<ReturnType<EngineOptions["schemaBarrier"]>>>;
  /** What the prober says is down. */
  unwell: readonly Unwell[];
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
    migrated: [],
    failing: null,
    barrier: null,
    unwell: [],
    prepareGate: Promise.resolve(),
  };
  const engines: Engine[] = [];
  const start = async () => {
    const engine = await startEngine(optionsOf(database, db, target, world));
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

function optionsOf(
  database: FreshDatabase,
  db: Database<EngineTables>,
  target: SimulatedTarget,
  world: World,
): EngineOptions {
  return {
    claims: db as unknown as Database<AccessTables>,
    db,
    pool: database.pool,
    databaseUrl: database.databaseUrl,
    clock: systemClock,
    ids: randomIds,
    log: silentLog,
    workerId: randomIds("wrk"),
    target,
    metrics: {
      readCounters: async (services) => services.map((each) => countersOf(each, world)),
      readInFlight: async () => 0,
      query: async ({ name }) => ({ name, value: null, error: "no metrics store here" }),
    },
    probe: async ({ url }) => ({ ok: true, latencyMs: 1, ...answerOf(url, target, world.status) }),
    prepare: async (input, signal) => {
      const aborted = new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason)),
      );
      await Promise.race([world.prepareGate, aborted]);
      return prepared(world.preparation, input);
    },
    readGate: async ({ id, projectId, environment }) => {
      const place = { deploymentId: id, projectId, environment, now: systemClock.now() };
      const unwell = world.unwell.filter((each) => each.of === "dependency");
      return { ...(await readGateFacts(db as unknown as Database<GateTables>, place)), unwell };
    },
    verdicts: { read: async () => world.unwell, channel: "check_state_changed" },
    migrateSchema: async ({ deploymentId, phase }) => {
      if (world.failing === phase)
        throw new AppError("unprocessable", `${phase} failed.`, { hint: "Mend it." });
      world.migrated.push(`${phase} ${deploymentId}`);
      return { applied: [], version: null };
    },
    schemaBarrier: async () => () => world.barrier,
    resupply: async () => {},
    requireSource: async () => {},
  };
}

function prepared({ plan, services }: StandPreparation, input: PrepareInput): Preparation {
  const { project, branch, commit } = input;
  return {
    files: [{ path: "index.html", sha1: "a".repeat(40), size: 1, mode: 0o100644 }],
    services: services.map((service) => {
      const targetProject = service.name === "app" ? project : `${project}-${service.name}`;
      return { ...service, targetProject, targetProjectId: `prj_${targetProject}` };
    }),
    plan,
    branch,
    commit,
  };
}

function countersOf({ service, canary, baseline }: CountersOf, { counters }: World): ServiceCounters {
  const read = (release: string | null) => {
    const { requests, errors5xx } = counters[release ?? ""] ?? { requests: 0, errors5xx: 0 };
    const latency = [...LATENCY_BOUNDS_MS.map(() => requests), requests];
    return { requests, errors5xx, latency, latencySumMs: requests };
  };
  return { service, canary: read(canary), baseline: read(baseline) };
}

function answerOf(
  url: string,
  target: SimulatedTarget,
  status: ReadonlyMap<string, number>,
): { status: number; deploymentHeader?: string } {
  const host = new URL(url).hostname.replace(".localhost", "");
  if (host.startsWith("dpl_")) return { status: status.get(host) ?? 200 };
  const place = [...target.places].find(([key]) => key.replaceAll("/", "-") === host);
  const serving = Object.keys(place?.[1] ?? {})[0];
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
