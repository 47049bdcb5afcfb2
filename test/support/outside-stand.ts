import type { Actor, ActorEnv } from "../../src/access/index.ts";
import type { ProbeRequest } from "../../src/deployments/index.ts";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import { createDatabase, type Database } from "../../src/foundation/db.ts";
import { createApi } from "../../src/foundation/http.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { silentLog } from "../../src/foundation/log.ts";
import { createSecretBox } from "../../src/foundation/secret-box.ts";
import type { OutsideDeps } from "../../src/outside/deps.ts";
import { type OutsideTables, outsideRoutes, vercelWebhookRoutes } from "../../src/outside/index.ts";
import { look } from "../../src/outside/look.ts";
import { watchedProjects } from "../../src/outside/queries.ts";
import type { CheckVerdict, PlatformState } from "../../src/targets/target.ts";
import { type FreshDatabase, freshDatabase } from "./database.ts";
import { aService } from "./deployment-row.ts";

type Role = Actor["role"] | "anybody";
// biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
type Answer = { status: number; body: any };
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Watches on a real Postgres; the target's view of itself is what a test says. */
export type OutsideStand = FreshDatabase & {
  readonly clock: Clock & { move(ms: number): void };
  readonly state: Mutable<PlatformState>;
  failing: Error | null;
  /** What was left after a promotion cannot be put back, and our check cannot be told. */
  refusing: Error | null;
  readonly deps: OutsideDeps;
  /** What other people's deployments answer. */
  status: number;
  probed: ProbeRequest | null;
  readonly reports: CheckVerdict[];
  readonly deleted: string[];
  readonly woken: string[];
  /** A project with a live production, which is `targetDeploymentId`. */
  makeProject(name: string, targetDeploymentId: string): Promise<void>;
  /** Its configuration asks for checks from now on. */
  check(project: string): Promise<void>;
  look(project: string): ReturnType<typeof look>;
  events(project: string): Promise<{ kind: string; summary: string }[]>;
  audited(action: string, project: string): Promise<unknown[]>;
  request(
    as: Role,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>;
};

const QUIET: PlatformState = {
  production: "dpl_ours",
  lastMove: null,
  pinned: false,
  autoAssign: true,
  teamAutoAssign: true,
  rolling: null,
  paused: false,
  deployments: [],
};

export async function outsideStand(): Promise<OutsideStand> {
  const database = await freshDatabase({ migrations: ["control"] });
  const db = createDatabase<OutsideTables>(database.pool);
  let movedMs = 0;
  const clock = {
    ...systemClock,
    now: () => new Date(systemClock.now().getTime() + movedMs),
    move(ms: number) {
      movedMs += ms;
    },
  };
  const told = { reports: [] as CheckVerdict[], deleted: [] as string[], woken: [] as string[] };
  const stand = {
    ...database,
    ...told,
    clock,
    state: { ...QUIET },
    failing: null,
    refusing: null,
    status: 200,
    probed: null,
  };
  const deps = depsOf(stand as unknown as OutsideStand, db);
  const idOf = (name: string) => `prj_${name}`;
  const rows = async (text: string, values: unknown[]) => (await database.pool.query(text, values)).rows;
  return Object.assign(stand as unknown as OutsideStand, {
    deps,
    async makeProject(name: string, targetDeploymentId: string) {
      Object.assign(stand, { state: { ...QUIET }, failing: null, refusing: null, status: 200, probed: null });
      for (const list of [told.reports, told.deleted, told.woken]) list.length = 0;
      const now = clock.now();
      await rows("insert into projects (id, name, created_at) values ($1, $2, $3)", [idOf(name), name, now]);
      const own = { targetProject: name, targetProjectId: idOf(name), targetDeploymentId };
      const services = [{ ...aService("app", own), previousTargetId: "dpl_ours_before" }];
      await rows(
        `insert into deployments (id, project_id, environment, slot, dirty, source, force, state, state_since,
           services, actor_name, created_at, updated_at)
         values ($1, $2, 'production', 'production', false, '{}', false, 'live', $3, $4, 'ann', $3, $3)`,
        [`dep_${name}`, idOf(name), now, JSON.stringify(services)],
      );
    },
    async check(name: string) {
      const checked = `update deployments set services = jsonb_set(services, '{0,checked}', 'true') where id = $1`;
      await rows(checked, [`dep_${name}`]);
    },
    async look(name: string) {
      const [watched] = await watchedProjects(db, idOf(name));
      if (!watched) throw new Error(`${name} is not watched`);
      return look(deps, watched, AbortSignal.timeout(20_000));
    },
    events: async (name: string) =>
      rows("select kind, summary from outside_events where project_id = $1 order by id", [idOf(name)]).then(
        (found) => found.reverse(),
      ),
    audited: (action: string, name: string) =>
      rows("select * from audit_log where action = $1 and subject_id = $2", [action, idOf(name)]),
    request: requester(deps),
  });
}

function depsOf(stand: OutsideStand, db: Database<OutsideTables>): OutsideDeps {
  let hooks = 0;
  return {
    db,
    clock: stand.clock,
    log: silentLog,
    box: createSecretBox(new Uint8Array(32).fill(7)),
    publicUrl: "https://signalbox.example",
    wake: (projectId) => void stand.woken.push(projectId),
    probe: async (request) => {
      stand.probed = request;
      return { ok: true, status: stand.status, latencyMs: 1 };
    },
    target: {
      probeHeaders: async () => ({ "x-bypass": "1" }),
      outside: {
        inspect: async () => {
          if (stand.failing) throw stand.failing;
          return { ...stand.state };
        },
        tidyUp: async () => {
          if (stand.refusing) throw stand.refusing;
        },
        createWebhook: async () => ({ id: `hook_${++hooks}`, secret: "a-secret-of-the-webhook" }),
        deleteWebhook: async (id) => void stand.deleted.push(id),
        report: async (_project, verdict) => {
          if (stand.refusing) throw stand.refusing;
          stand.reports.push(verdict);
        },
        unpin: async () => "done",
      },
    },
  };
}

function requester(deps: OutsideDeps): OutsideStand["request"] {
  return async (as, method, path, body, headers = {}) => {
    const api = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
    api.route("/api/webhooks", vercelWebhookRoutes<ActorEnv>(deps));
    api.use("/api/*", async (c, next) => {
      if (as !== "anybody") c.set("actor", { kind: "token", id: `tok_${as}`, name: as, role: as });
      await next();
    });
    api.route("/api", outsideRoutes(deps));
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    const response = await api.request(path, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(sent === undefined ? {} : { body: sent }),
    });
    return { status: response.status, body: await response.json() };
  };
}
