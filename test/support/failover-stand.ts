import { sql } from "kysely";
import type { Actor, ActorEnv } from "../../src/access/index.ts";
import type { ProbeResult } from "../../src/deployments/index.ts";
import { advanceFailover } from "../../src/failover/advance-failover.ts";
import { advanceStandby } from "../../src/failover/advance-standby.ts";
import type { FailoverDeps } from "../../src/failover/deps.ts";
import {
  type FailoverPolicy,
  type FailoverTables,
  failoverRoutes,
  type HostnameSwitch,
  type Side,
  type StandbyTarget,
} from "../../src/failover/index.ts";
import { claim, LEASE_MS, type LeasedTable, release } from "../../src/failover/lease.ts";
import { followLive } from "../../src/failover/queries.ts";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import { createDatabase, type Database } from "../../src/foundation/db.ts";
import { AppError } from "../../src/foundation/errors.ts";
import { createApi } from "../../src/foundation/http.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { silentLog } from "../../src/foundation/log.ts";
import type { BuildInput } from "../../src/targets/target.ts";
import type { freshDatabase } from "./database.ts";
import { aService, HEALTH, PLAN } from "./deployment-row.ts";

const actor = (role: Actor["role"]) => ({ kind: "token", id: `tok_${role}`, name: role, role }) as Actor;
export const AS = { viewer: actor("viewer"), deployer: actor("deployer"), owner: actor("owner") };

const POLICY: FailoverPolicy = {
  to: "dock",
  hostname: "www.example.com",
  url: "https://www.example.com",
  switch: { kind: "webhook", url: "https://dns.example.com/" },
  automatic: true,
  probe: { intervalMs: 10_000, timeoutMs: 1_000, primaryUrl: null, witnesses: [], statusPage: null },
  away: { failures: 3, forMs: 20_000 },
  recovered: { successes: 3, forMs: 20_000 },
  minIntervalMs: 60_000,
  maxPerDay: 4,
};

/** Thrown by a port in place of a process that dies there. */
export class Killed extends Error {}

/** The world outside: the dock, the DNS, and who answers. Everything that is done to it is written down. */
export class FailoverWorld {
  readonly calls: string[] = [];
  readonly builds = new Map<
    string,
    { id: string; env: BuildInput["env"]; state: "building" | "ready" | "error" }
  >();
  readonly hosts = new Map<string, string>();
  readonly crons = new Map<string, boolean>();
  production: string | null = null;
  points: Side = "primary";
  /** How often the hostname was really moved. */
  moves = 0;
  up = { primary: true, hostname: true, standby: true };
  variables: { key: string; value: string | null }[] = [];
  switchError: AppError | null = null;
  /** The dock's API is away. */
  dockError: AppError | null = null;
  /** The process dies at the n-th call of a port from here on, before or after it has had its effect. */
  dieAt: { left: number; when: "before" | "after" } | null = null;
  /** The process that works: what is dead catches nothing and writes nothing. */
  life = new AbortController();

  async call<T>(name: string, effect: () => T): Promise<T> {
    const dies = this.dieAt !== null && --this.dieAt.left === 0 ? this.dieAt.when : null;
    if (dies === "before") throw this.die(name);
    const value = effect();
    this.calls.push(name);
    if (dies === "after") throw this.die(name);
    return value;
  }

  private die(name: string): Killed {
    const killed = new Killed(name);
    this.life.abort(killed);
    return killed;
  }

  count(name: string): number {
    return this.calls.filter((each) => each.startsWith(name)).length;
  }
}

function standbyTarget(world: FailoverWorld): StandbyTarget {
  const find = (id: string) => [...world.builds.values()].find((build) => build.id === id);
  return {
    ensureProject: (name) => world.call("ensureProject", () => ({ targetProjectId: `prj_dock_${name}` })),
    upload: () => world.call("upload", () => {}),
    build: (input) =>
      world.call(`build ${input.key}`, () => {
        const id = world.builds.get(input.key)?.id ?? `dpl_dock_${world.builds.size + 1}`;
        if (!world.builds.has(input.key)) world.builds.set(input.key, { id, env: input.env, state: "ready" });
        return { kind: "accepted", targetDeploymentId: id } as const;
      }),
    observe: (id) =>
      world.call("observe", () => {
        if (world.dockError) throw world.dockError;
        const build = find(id);
        if (!build) throw new AppError("not_found", `There is no ${id}.`);
        const error = build.state === "error" ? { code: "BUILD_FAILED", message: "It broke." } : null;
        const rest = { error, reused: false, buildStartedAt: null, kind: "server" } as const;
        return { id, state: build.state, url: `http://${id}.localhost`, ...rest };
      }),
    cancel: () => world.call("cancel", () => {}),
    shift: ({ to }) =>
      world.call("shift", () => {
        world.production = to;
        return "done" as const;
      }),
    publicUrl: (host) => `http://${host}`,
    assignHost: (host, id) => world.call(`assignHost ${host}`, () => void world.hosts.set(host, id)),
    standbyHost: (project) => `${project}-standby.localhost`,
    setCrons: (id, enabled) =>
      world.call(`setCrons ${enabled}`, () => {
        world.crons.set(id, enabled);
        return "done" as const;
      }),
  };
}

function hostnameSwitch<O>(world: FailoverWorld): HostnameSwitch<O> {
  return {
    name: "double",
    read: () => world.call("read", () => ({ side: world.points, detail: `the ${world.points}` })),
    point: ({ to }) =>
      world.call(`point ${to}`, () => {
        if (world.switchError) throw world.switchError;
        if (world.points !== to) world.moves++;
        world.points = to;
      }),
  };
}

function probe(world: FailoverWorld): FailoverDeps["probe"] {
  const answer = (good: boolean): ProbeResult =>
    good
      ? { ok: true, status: 200, latencyMs: 1 }
      : { ok: false, status: null, latencyMs: 1, unreachable: true, error: "the connection was refused" };
  return async ({ url }) => {
    if (url.startsWith("https://www.")) {
      return answer(world.points === "primary" ? world.up.hostname && world.up.primary : world.up.standby);
    }
    return answer(url.includes("dpl_dock") ? world.up.standby : world.up.primary);
  };
}

export type FailoverStand = AsyncDisposable & {
  readonly db: Database<FailoverTables>;
  readonly deps: FailoverDeps;
  readonly world: FailoverWorld;
  readonly clock: Clock & { move(ms: number): void };
  readonly project: { readonly id: string; readonly name: string };
  /** What its deployments ask for where nothing else is said; its hostname is nobody else's. */
  readonly policy: FailoverPolicy & { readonly hostname: string };
  /** A deployment of the project's goes live, in place of the one that is. */
  goLive(id: string, policy?: FailoverPolicy | null): Promise<void>;
  /** What a worker does with a row that is due, once. False: nothing was due. Rethrows `Killed`, its lease kept. */
  turn(table: LeasedTable): Promise<boolean>;
  /** Turns at both rows, the clock moving on between them, until `done`. */
  run(done: () => Promise<boolean>): Promise<void>;
  // biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
  status(): Promise<any>;
  request(
    as: Actor,
    method: string,
    path: string,
    body?: unknown,
    // biome-ignore lint/suspicious/noExplicitAny: as above
  ): Promise<{ status: number; body: any }>;
  /** The routes, for a server: a token is the name of a role. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** `kind side`, oldest first. */
  events(): Promise<string[]>;
  audited(action: string): Promise<{ actor_name: string; details: unknown }[]>;
};

export type SharedDatabase = Awaited<ReturnType<typeof freshDatabase>>;

/** Failover on a real Postgres; what is outside of it is stood in for. A project and a world of its own each time. */
export async function failoverStand(database: SharedDatabase): Promise<FailoverStand> {
  const db = createDatabase<FailoverTables>(database.pool);
  const world = new FailoverWorld();
  const clock = movableClock();
  const name = randomIds("p").replace("_", "-");
  const project = { id: randomIds("prj"), name };
  await db
    .insertInto("projects")
    .values({ ...project, git_url: null, target_project_id: null, created_at: clock.now() })
    .execute();
  const services = [{ name: "app", targetProject: name, settings: {}, env: { OWN: "1" }, health: HEALTH }];
  const commit = { sha: null, message: null, dirty: false };
  const deps: FailoverDeps = {
    db,
    clock,
    ids: randomIds,
    log: silentLog,
    probe: probe(world),
    standby: standbyTarget(world),
    prepare: () => world.call("prepare", () => ({ files: [], services, commit })),
    resupply: () => world.call("resupply", () => {}),
    variables: () => world.call("variables", () => world.variables),
    statusPage: async () => null,
    switches: { cloudflare: hostnameSwitch(world), webhook: hostnameSwitch(world) },
    workerId: "worker",
    wake: () => {},
  };
  const hostname = `www.${name}.test`;
  const policy = { ...POLICY, hostname, url: `https://${hostname}` };
  const stand = { db, deps, world, clock, project, policy };
  return { ...stand, ...actsOf(stand), ...looksOf(stand), async [Symbol.asyncDispose]() {} };
}

type Parts = Pick<FailoverStand, "db" | "deps" | "world" | "clock" | "project" | "policy">;

function actsOf({ db, deps, world, clock, project, policy: ownPolicy }: Parts) {
  const key = { projectId: project.id, environment: "production" };
  const turn = async (table: LeasedTable): Promise<boolean> => {
    await followLive(db, clock.now());
    const lease = await claim(db, table, key, { owner: "worker", now: clock.now() });
    if (!lease) return false;
    const work = table === "failovers" ? advanceFailover : advanceStandby;
    if (world.life.signal.aborted) world.life = new AbortController();
    const pauseMs = await work(deps, lease, world.life.signal);
    await release(db, table, lease, new Date(clock.now().getTime() + pauseMs));
    return true;
  };
  const untilDueMs = async (): Promise<number> => {
    const { rows } = await sql<{ due: Date }>`
      select min(wake_at) as due from (
        select project_id, wake_at from failovers union all select project_id, wake_at from failover_standbys
      ) as rows where project_id = ${project.id}`.execute(db);
    return Math.max((rows[0]?.due.getTime() ?? 0) - clock.now().getTime(), 0) + 1;
  };
  return {
    turn,
    async goLive(id: string, policy: FailoverPolicy | null = ownPolicy) {
      const at = clock.now();
      const where = { project_id: project.id, environment: "production", slot: "production" } as const;
      await db
        .updateTable("deployments")
        .set({ state: "superseded" })
        .where("project_id", "=", project.id)
        .execute();
      const plan = JSON.stringify(policy === null ? PLAN : { ...PLAN, failover: policy });
      const services = JSON.stringify([aService("app", { urls: ["https://shop.vercel.app"] })]);
      await db
        .insertInto("deployments")
        .values({
          ...where,
          id,
          plan,
          services,
          source: JSON.stringify({ tree: "t" }),
          dirty: false,
          force: false,
          state: "live",
          state_since: at,
          actor_name: "ann",
          created_at: at,
          updated_at: at,
        })
        .onConflict((conflict) => conflict.column("id").doUpdateSet({ state: "live" }))
        .execute();
    },
    async run(done: () => Promise<boolean>) {
      for (let rounds = 0; rounds < 200; rounds++) {
        const worked = [await turn("failover_standbys"), await turn("failovers")];
        if (await done()) return;
        if (!worked.includes(true)) clock.move(await untilDueMs());
      }
      throw new Error("it did not come about within 200 turns");
    },
  };
}

function looksOf({ db, deps, project }: Parts) {
  const app = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  app.use(async (c, next) => {
    const token = c.req.header("authorization")?.replace("Bearer ", "") ?? "viewer";
    c.set("actor", AS[token as keyof typeof AS]);
    await next();
  });
  app.route("/api", failoverRoutes(deps));
  const request: FailoverStand["request"] = async (as, method, path, body) => {
    const init = {
      method,
      headers: { "content-type": "application/json", authorization: `Bearer ${as.role}` },
    };
    const answer = await app.request(
      path,
      body === undefined ? init : { ...init, body: JSON.stringify(body) },
    );
    return { status: answer.status, body: await answer.json() };
  };
  return {
    request,
    fetch: app.fetch,
    status: async () => (await request(AS.viewer, "GET", `/api/projects/${project.name}/failover`)).body,
    async events() {
      const rows = await db
        .selectFrom("failover_events")
        .select(["kind", "side"])
        .where("project_id", "=", project.id)
        .orderBy("id")
        .execute();
      return rows.map(({ kind, side }) => (side === null ? kind : `${kind} ${side}`));
    },
    audited: (action: string) =>
      db
        .selectFrom("audit_log")
        .select(["actor_name", "details"])
        .where("action", "=", action)
        .where("subject_id", "=", project.id)
        .orderBy("id")
        .execute(),
  };
}

function movableClock(): FailoverStand["clock"] {
  let offsetMs = 0;
  return {
    ...systemClock,
    now: () => new Date(systemClock.now().getTime() + offsetMs),
    move(ms) {
      offsetMs += ms;
    },
  };
}

/** Long enough for a dead worker's lease to end. */
export const AFTER_DEATH_MS = LEASE_MS + 1;
