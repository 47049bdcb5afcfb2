import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { type ActorEnv, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { createRouter } from "../foundation/http.ts";
import { measureDelivery } from "./dora.ts";
import { readDeliveries } from "./dora-queries.ts";
import type { EngineDeps } from "./engine.ts";
import { findProject } from "./project.ts";
import { OUTCOMES } from "./record.ts";

const DEFAULT_DAYS = 30;
const DAY_MS = 86_400_000;

const MetricsQuery = z.object({
  project: z.string().min(1).max(255).optional().openapi({ description: "Default: all projects" }),
  environment: z.enum(["preview", "staging", "production"]).default("production"),
  from: z.iso.datetime({ offset: true }).optional().openapi({ description: "Default: 30 days before `to`" }),
  to: z.iso.datetime({ offset: true }).optional().openapi({ description: "Exclusive. Default: now" }),
});

const Percentiles = z.object({
  count: z.number(),
  p50Ms: z.number().nullable(),
  p90Ms: z.number().nullable(),
});

const MetricsBody = z
  .object({
    project: z.string().nullable(),
    environment: MetricsQuery.shape.environment.unwrap(),
    from: z.string(),
    to: z.string(),
    deploymentFrequency: z.object({ count: z.number(), perDay: z.number(), activeDays: z.number() }),
    leadTime: z.object({
      total: Percentiles,
      beforeTrigger: Percentiles,
      machine: Percentiles,
      approvalWait: Percentiles,
    }),
    changeFailRate: z.object({ changes: z.number(), failed: z.number(), rate: z.number().nullable() }),
    recoveryTime: Percentiles.extend({ open: z.number() }),
    outcomes: z.record(z.enum([...OUTCOMES, "unfinished"]), z.number()),
  })
  .openapi("DeliveryMetrics");

const metrics = createRoute({
  method: "get",
  path: "/metrics",
  summary: "DORA's four measures of a time, and how deployments ended (viewer)",
  security: [{ bearer: [] }],
  request: { query: MetricsQuery },
  responses: {
    200: {
      description: "Counts, rates and percentiles",
      content: { "application/json": { schema: MetricsBody } },
    },
  },
});

/** `GET /api/deploy/metrics`. */
export function doraRoutes(deps: Pick<EngineDeps, "db" | "ledger" | "clock">): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>().openapi(metrics, async (c) => {
    requireRole(c.var.actor, "viewer");
    const { project, environment, from, to } = c.req.valid("query");
    const window = windowOf(from, to, deps.clock.now());
    const projectId = project === undefined ? null : (await findProject(deps.ledger, project)).id;
    const deployments = await readDeliveries(deps.db, { projectId, environment, since: window.from });
    const times = { from: window.from.toISOString(), to: window.to.toISOString() };
    return c.json(
      { project: project ?? null, environment, ...times, ...measureDelivery(deployments, window) },
      200,
    );
  });
}

/** @throws AppError `bad_request` when it ends before it begins. */
function windowOf(from: string | undefined, to: string | undefined, now: Date) {
  const end = to === undefined ? now : new Date(to);
  const begin = from === undefined ? new Date(end.getTime() - DEFAULT_DAYS * DAY_MS) : new Date(from);
  if (begin < end) return { from: begin, to: end };
  throw new AppError(
    "bad_request",
    `"from" (${begin.toISOString()}) is not before "to" (${end.toISOString()}).`,
    {
      hint: "Send both as ISO 8601 times, the earlier one as `from`.",
    },
  );
}
