import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { type ActorEnv, authenticate } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { createRouter } from "../foundation/http.ts";
import type { Health, HealthBody } from "../health/index.ts";
import { asHealthJson } from "./health-body.ts";
import { type HealthDetails, readHealthDetails } from "./health-queries.ts";
import type { HealthBoard } from "./keep-health.ts";
import { FAILURE_CLASSES } from "./model.ts";
import type { CheckTables } from "./tables.ts";

const ReadyCheck = z.object({ ok: z.boolean(), latencyMs: z.number(), error: z.string().optional() });
const ReadyBody = z.object({
  status: z.enum(["ready", "not_ready"]),
  /** Asked to end: it answers, and takes no more. */
  draining: z.boolean().optional(),
  checks: z.record(z.string(), ReadyCheck),
});
const LiveBody = z.object({ status: z.enum(["live", "dead"]), reason: z.string().optional() });

const Service = z.object({
  status: z.enum(["up", "down", "degraded"]),
  latency: z.number().nullable().describe("Of the last look, in ms. Null: there was none yet."),
  lastCheck: z.iso.datetime().nullable(),
  // Only with a token:
  class: z.enum(FAILURE_CLASSES).nullable().optional(),
  message: z.string().nullable().optional(),
  since: z.iso.datetime().optional(),
  uptime: z.number().nullable().optional().describe("Of the last 24 hours, 0 to 1."),
  checks: z.record(z.string(), z.unknown()).optional(),
});
const Body = z.object({
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  timestamp: z.iso.datetime(),
  services: z.record(z.string(), Service),
});

const json = <S extends z.ZodType>(description: string, schema: S) => ({
  description,
  content: { "application/json": { schema } },
});

const live = createRoute({
  method: "get",
  path: "/live",
  summary: "Whether this process answers",
  responses: { 200: json("It does", LiveBody), 503: json("Only a restart helps", LiveBody) },
});

const ready = createRoute({
  method: "get",
  path: "/ready",
  summary: "Whether this process can do its work",
  responses: { 200: json("It can", ReadyBody), 503: json("It cannot; `checks` says why", ReadyBody) },
});

const health = createRoute({
  method: "get",
  path: "/",
  summary: "Whether everything is well; with a token, why it is not",
  description: "As `application/health+json` where that is accepted.",
  request: {
    query: z
      .object({ project: z.string().optional(), environment: z.string().optional() })
      .refine(({ project, environment }) => (project === undefined) === (environment === undefined), {
        error: "project and environment are given together",
      }),
  },
  responses: {
    200: json("It is, or what is not well is not critical", Body),
    503: json("Something critical is down, or was not heard of for too long", Body),
  },
});

/** Without a token for load balancers, which have none. What `board` answers from memory does not come here. */
export function healthRoutes(deps: {
  own: Health;
  board: HealthBoard;
  db: Database<CheckTables>;
  clock: Clock;
}): OpenAPIHono<ActorEnv> {
  const api = createRouter<ActorEnv>();
  api.use("/", whereGiven(authenticate(deps)));
  const own = (path: string) => deps.own.fetch(new Request(`http://localhost/api/health${path}`)) as never;
  return api
    .openapi(live, () => own("/live"))
    .openapi(ready, () => own("/ready"))
    .openapi(health, async (c) => {
      const { project, environment } = c.req.valid("query");
      const place = project !== undefined && environment !== undefined ? { project, environment } : null;
      const found = place ? deps.board.read(place) : deps.board.read();
      if (found === null)
        throw new AppError("not_found", `Nothing is checked in ${environment} of ${project}.`, {
          hint: "GET /api/health lists what is checked.",
        });
      const status = found.status === "unhealthy" ? 503 : 200;
      c.header("cache-control", "no-store");
      c.header("vary", "accept, authorization");
      const body = c.get("actor") ? await withDetails(deps, found, place) : found;
      if (!c.req.header("accept")?.includes("application/health+json")) return c.json(body, status);
      c.header("content-type", "application/health+json");
      return c.body(JSON.stringify(asHealthJson(body)), status) as never;
    });
}

/** A token that is wrong is refused; none is fine. */
function whereGiven(check: MiddlewareHandler<ActorEnv>): MiddlewareHandler<ActorEnv> {
  return async (c, next) => (c.req.header("authorization") === undefined ? next() : check(c, next));
}

async function withDetails(
  { db, clock }: { db: Database<CheckTables>; clock: Clock },
  body: HealthBody,
  place: { project: string; environment: string } | null,
): Promise<HealthBody> {
  const rows = await readHealthDetails(db, clock.now());
  const services = new Map<string, object>(Object.entries(body.services));
  for (const row of rows) {
    const name = place ? row.name : `${row.project}/${row.environment}/${row.name}`;
    const known = services.get(name);
    const meant = !place || (place.project === row.project && place.environment === row.environment);
    if (known && meant) services.set(name, { ...known, ...detailsOf(row) });
  }
  return { ...body, services: Object.fromEntries(services) as HealthBody["services"] };
}

function detailsOf({ project: _p, environment: _e, name: _n, ...row }: HealthDetails): object {
  const { class: kind, message, since, uptime, ...checks } = row;
  return { class: kind, message, since: since.toISOString(), uptime, checks };
}
