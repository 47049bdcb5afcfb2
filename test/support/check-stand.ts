import { z } from "zod";
import type { Actor, ActorEnv } from "../../src/access/index.ts";
import type { HeartbeatTables } from "../../src/checks/heartbeats/tables.ts";
import { type CheckDeps, checkRoutes } from "../../src/checks/index.ts";
import type { ProbeKind } from "../../src/checks/probe-kind.ts";
import type { ChecksPlan } from "../../src/checks/seeds.ts";
import { rulesKey, type SyncDeps, syncChecks } from "../../src/checks/sync-checks.ts";
import { unfollowed } from "../../src/checks/sync-queries.ts";
import type { CheckTables } from "../../src/checks/tables.ts";
import { type Clock, systemClock } from "../../src/foundation/clock.ts";
import { createDatabase, type Database } from "../../src/foundation/db.ts";
import { createApi } from "../../src/foundation/http.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { silentLog } from "../../src/foundation/log.ts";
import { createSecretBox } from "../../src/foundation/secret-box.ts";
import { getProject, type ProjectTables } from "../../src/projects/index.ts";
import { type SettingsTables, settingsRoutes } from "../../src/settings/index.ts";
import { type FreshDatabase, freshDatabase } from "./database.ts";
import { aService } from "./deployment-row.ts";

type Role = Actor["role"];
// biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
type Answer = { status: number; body: any };

const kind = (settings: z.ZodType, subject: string, local = false) =>
  ({ settings, local, subject: () => subject }) as Pick<ProbeKind, "settings" | "subject" | "local">;

/** Kinds of probe, as far as a configuration knows them. */
export const RULES: CheckDeps["checkRules"] = {
  kinds: new Map([
    [
      "http",
      {
        settings: z.looseObject({ url: z.url() }),
        subject: (settings: unknown) => new URL((settings as { url: string }).url).href,
      },
    ],
    ["redis", kind(z.strictObject({ url: z.string().regex(/^rediss?:/) }), "redis")],
    ["command", kind(z.strictObject({ command: z.array(z.string()).min(1) }), "a command", true)],
  ]),
  allowLocal: false,
};

export type CheckStand = FreshDatabase & {
  readonly db: Database<CheckTables & HeartbeatTables & SettingsTables & ProjectTables>;
  readonly clock: Clock & { move(ms: number): void };
  readonly deps: SyncDeps & CheckDeps;
  /** What the configuration of a deployment says; an error: it cannot be read. By deployment. */
  readonly plans: Map<string, ChecksPlan | Error>;
  makeProject(name: string): Promise<void>;
  /** Takes the place of what was live there. */
  goLive(
    id: string,
    project: string,
    change?: { slot?: string; services?: object[]; state?: string },
  ): Promise<void>;
  /** One round of following what is live. */
  sync(): Promise<void>;
  rows(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  fetch(as: Role, path: string, init: RequestInit): Promise<Response>;
  request(as: Role, method: string, path: string, body?: unknown): Promise<Answer>;
};

/** Checks on a real Postgres, with no prober but what a test does in its place. */
export async function checkStand(): Promise<CheckStand> {
  const database = await freshDatabase({ migrations: ["control"] });
  const db = createDatabase<CheckTables & HeartbeatTables & SettingsTables & ProjectTables>(database.pool);
  let movedMs = 0;
  const clock = {
    ...systemClock,
    now: () => new Date(systemClock.now().getTime() + movedMs),
    monotonicMs: () => systemClock.monotonicMs() + movedMs,
    move(ms: number) {
      movedMs += ms;
    },
  };
  const plans = new Map<string, ChecksPlan | Error>();
  const deps = {
    db,
    clock,
    ids: randomIds,
    box: createSecretBox(new Uint8Array(32).fill(7)),
    rules: RULES,
    checkRules: RULES,
    allowNetworks: [],
    projectIdOf: async (name: string) => (await getProject(db, name)).id,
    readChecks: async ({ id }: { id: string }) => {
      const plan = plans.get(id) ?? { configured: {}, uses: {}, env: {} };
      if (plan instanceof Error) throw plan;
      return plan;
    },
  };
  const rows = async (text: string, values: unknown[] = []) => (await database.pool.query(text, values)).rows;
  const fetch = fetcher(deps);
  return {
    ...database,
    db,
    clock,
    deps,
    plans,
    rows,
    fetch,
    async makeProject(name) {
      await rows("insert into projects (id, name, created_at) values ($1, $2, $3)", [
        `prj_${name}`,
        name,
        clock.now(),
      ]);
    },
    async goLive(id, project, { slot = "production", services = [aService("app")], state = "live" } = {}) {
      const place = [`prj_${project}`, slot];
      const ended = "update deployments set state = 'superseded' where project_id = $1 and slot = $2";
      await rows(ended, place);
      const environment = slot.split(":")[0];
      await rows(
        `insert into deployments (id, project_id, slot, environment, dirty, source, force, state, state_since,
           services, actor_name, created_at, updated_at, live_at)
         values ($1, $2, $3, $4, false, '{"tree":"x"}', false, $5, $6, $7, 'ann', $6, $6, $6)`,
        [id, ...place, environment, state, clock.now(), JSON.stringify(services)],
      );
    },
    async sync() {
      for (const live of await unfollowed(db, rulesKey(RULES), clock.now()))
        await syncChecks(deps, live, AbortSignal.timeout(20_000));
    },
    async request(as, method, path, body) {
      const headers = { "content-type": "application/json" };
      const sent = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
      const response = await fetch(as, path, { method, headers, ...sent });
      const text = await response.text();
      return { status: response.status, body: text === "" ? null : JSON.parse(text) };
    },
  };
}

function fetcher(deps: CheckDeps): CheckStand["fetch"] {
  return async (as, path, init) => {
    const api = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
    api.use("/api/*", async (c, next) => {
      c.set("actor", { kind: "token", id: `tok_${as}`, name: as, role: as });
      await next();
    });
    api.route("/api", checkRoutes(deps));
    api.route("/api", settingsRoutes({ ...deps, changed: async () => {} }));
    return api.request(path, init);
  };
}
