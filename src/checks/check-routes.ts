import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { type ActorEnv, requireRole } from "../access/index.ts";
import { createRouter } from "../foundation/http.ts";
import type { CheckDeps } from "./check-deps.ts";
import {
  CheckBody,
  CoverageBody,
  CreateBody,
  checkBody,
  EventBody,
  environmentName,
  eventBody,
  HistoryBody,
  RunAnswer,
  RunBody,
  runAnswer,
  UpdateBody,
} from "./check-schemas.ts";
import { createCheck } from "./create-check.ts";
import { deleteCheck } from "./delete-check.ts";
import { readCoverage } from "./read-coverage.ts";
import { readCheckEvents, readHistory, readOverview, requireCheck } from "./read-overview.ts";
import { runChecks } from "./run-checks.ts";
import { updateCheck } from "./update-check.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const project = z.string().min(1).max(255).optional();
const Place = z.object({ project, environment: environmentName.optional() });
const IdParam = z.object({ id: z.string().min(1).max(64) });
const One = z.object({ check: CheckBody });

const list = createRoute({
  method: "get",
  path: "/checks",
  summary: "Every check, and how what it asks is",
  security,
  request: { query: Place },
  responses: {
    200: {
      description: "By project, environment and name",
      content: json(z.object({ checks: z.array(CheckBody) })),
    },
  },
});

const coverage = createRoute({
  method: "get",
  path: "/checks/coverage",
  summary: "What nobody would notice if it broke, and what to do about it",
  security,
  request: { query: z.object({ project }) },
  responses: { 200: { description: "Problems, if any", content: json(CoverageBody) } },
});

const events = createRoute({
  method: "get",
  path: "/checks/events",
  summary: "Changes of states, newest first",
  security,
  request: {
    query: Place.extend({
      before: z.coerce.number().int().min(1).optional(),
      limit: z.coerce.number().int().min(1).max(500).default(50),
    }),
  },
  responses: {
    200: { description: "Newest first", content: json(z.object({ events: z.array(EventBody) })) },
  },
});

const run = createRoute({
  method: "post",
  path: "/checks/run",
  summary: "Runs checks now and answers what they find (deployer)",
  security,
  request: { body: { required: true, content: json(RunBody) } },
  responses: { 200: { description: "What each found, and what it means", content: json(RunAnswer) } },
});

const get = createRoute({
  method: "get",
  path: "/checks/{id}",
  summary: "One check, with its latest rounds, states and changes",
  security,
  request: { params: IdParam },
  responses: { 200: { description: "Newest first", content: json(HistoryBody) } },
});

const create = createRoute({
  method: "post",
  path: "/checks",
  summary: "Makes a check by hand (deployer; owner where it runs on the prober's own machine)",
  security,
  request: { body: { required: true, content: json(CreateBody) } },
  responses: { 201: { description: "Made; its first round is within one interval", content: json(One) } },
});

const update = createRoute({
  method: "put",
  path: "/checks/{id}",
  summary: "Gives a check that was made by hand other settings and another policy, whole (deployer)",
  security,
  request: { params: IdParam, body: { required: true, content: json(UpdateBody) } },
  responses: { 200: { description: "Changed; its history goes on", content: json(One) } },
});

const remove = createRoute({
  method: "delete",
  path: "/checks/{id}",
  summary: "Takes a check away that was made by hand; its history stays (deployer)",
  security,
  request: { params: IdParam },
  responses: { 204: { description: "Nobody looks any more" } },
});

/** `/checks…`; mount under `/api`, behind `authenticate`. */
export function checkRoutes(deps: CheckDeps): OpenAPIHono<ActorEnv> {
  const router = createRouter<ActorEnv>();
  addReads(router, deps);
  return router
    .openapi(run, async (c) => {
      const { project: of, environment, checks: names } = c.req.valid("json");
      const input = { project: of, environment, names };
      return c.json(runAnswer(await runChecks(deps, c.var.actor, input, c.req.raw.signal)), 200);
    })
    .openapi(create, async (c) => {
      const { project: of, environment, name, type, settings, ...policy } = c.req.valid("json");
      const input = { project: of, environment, name, type, settings, policy };
      const { id } = await createCheck(deps, c.var.actor, input);
      return c.json({ check: checkBody(await requireCheck(deps.db, id, deps.clock.now())) }, 201);
    })
    .openapi(update, async (c) => {
      const { id } = c.req.valid("param");
      const { settings, ...policy } = c.req.valid("json");
      await updateCheck(deps, c.var.actor, id, { settings, policy });
      return c.json({ check: checkBody(await requireCheck(deps.db, id, deps.clock.now())) }, 200);
    })
    .openapi(remove, async (c) => {
      await deleteCheck(deps, c.var.actor, c.req.valid("param").id);
      return c.body(null, 204);
    });
}

function addReads(router: OpenAPIHono<ActorEnv>, deps: CheckDeps): void {
  const { db, clock } = deps;
  const idOf = async (name: string | undefined) =>
    name === undefined ? undefined : await deps.projectIdOf(name);
  router
    .openapi(list, async (c) => {
      requireRole(c.var.actor, "viewer");
      const { project: of, environment } = c.req.valid("query");
      const found = await readOverview(db, { projectId: await idOf(of), environment }, clock.now());
      return c.json({ checks: found.map(checkBody) }, 200);
    })
    .openapi(coverage, async (c) => {
      requireRole(c.var.actor, "viewer");
      const found = await readCoverage(deps, await idOf(c.req.valid("query").project));
      return c.json({ ...found, problems: [...found.problems] }, 200);
    })
    .openapi(events, async (c) => {
      requireRole(c.var.actor, "viewer");
      const { project: of, environment, before, limit } = c.req.valid("query");
      const found = await readCheckEvents(db, { projectId: await idOf(of), environment, before }, limit);
      return c.json({ events: found.map(eventBody) }, 200);
    })
    .openapi(get, async (c) => {
      requireRole(c.var.actor, "viewer");
      const check = await requireCheck(db, c.req.valid("param").id, clock.now());
      const history = await readHistory(db, check.id);
      const samples = history.samples.map((sample) => ({ ...sample }));
      const spans = history.spans.map(({ fromAt, toAt, ...rest }) => ({
        ...rest,
        fromAt: fromAt.toISOString(),
        toAt: toAt?.toISOString() ?? null,
      }));
      return c.json({ check: checkBody(check), samples, spans, events: history.events.map(eventBody) }, 200);
    });
}
