import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { streamSSE } from "hono/streaming";
import { type Actor, type ActorEnv, once, requireRole } from "../access/index.ts";
import { createRouter } from "../foundation/http.ts";
import { cancelDeployment } from "./cancel.ts";
import { doraRoutes } from "./dora-routes.ts";
import type { EngineDeps } from "./engine.ts";
import { listDeployments } from "./list.ts";
import { planRoutes } from "./plan-deployment-routes.ts";
import { rollbackDeployment } from "./rollback.ts";
import * as schemas from "./schemas.ts";
import { signalRollout } from "./signal-rollout.ts";
import { readStatus } from "./status.ts";
import { streamStatus } from "./stream.ts";
import { triggerDeployment } from "./trigger.ts";
import { viewOne } from "./view.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const headers = z.object({ "idempotency-key": z.string().min(1).max(255).optional() });
const idParam = z.object({ deploymentId: schemas.DeploymentId });

const trigger = createRoute({
  method: "post",
  path: "/trigger",
  summary: "Deploys a commit (deployer)",
  security,
  request: { headers, body: { required: true, content: json(schemas.TriggerBody) } },
  responses: { 202: { description: "Queued", content: json(schemas.Triggered) } },
});

const status = createRoute({
  method: "get",
  path: "/status/{deploymentId}",
  summary: "Progress and log of a deployment; with `Accept: text/event-stream` as events until it ends",
  security,
  request: { params: idParam, query: schemas.StatusQuery },
  responses: { 200: { description: "The deployment and its log", content: json(schemas.StatusBody) } },
});

const list = createRoute({
  method: "get",
  path: "/list",
  summary: "Deployments, newest first",
  security,
  request: { query: schemas.ListQuery },
  responses: {
    200: {
      description: "Newest first",
      content: json(z.object({ deployments: z.array(schemas.DeploymentBody) })),
    },
  },
});

const rollback = createRoute({
  method: "post",
  path: "/rollback",
  summary: "Moves traffic back to an earlier release (deployer)",
  security,
  request: { headers, body: { required: true, content: json(schemas.RollbackBody) } },
  responses: { 200: { description: "Traffic has moved", content: json(schemas.RolledBack) } },
});

const cancel = createRoute({
  method: "post",
  path: "/cancel/{deploymentId}",
  summary: "Stops a deployment that is not finished (deployer)",
  security,
  request: { params: idParam },
  responses: {
    200: {
      description: "Stopped, or being stopped",
      content: json(z.object({ deployment: schemas.DeploymentBody })),
    },
  },
});

const SIGNALS = {
  pause: "Holds the rollout where it is (deployer)",
  resume: "Goes on with a rollout that is paused (deployer)",
  advance: "Ends this stage of the rollout now (deployer)",
  promote: "Skips what is left of the rollout: all traffic (deployer)",
  abort: "Takes the traffic back (deployer)",
} as const;

const signalRoute = (kind: keyof typeof SIGNALS) =>
  createRoute({
    method: "post",
    path: `/${kind}/{deploymentId}`,
    summary: SIGNALS[kind],
    security,
    request: { params: idParam, body: { required: false, content: json(schemas.SignalBody) } },
    responses: {
      202: {
        description: "Said; the status tells what came of it",
        content: json(z.object({ deployment: schemas.DeploymentBody })),
      },
    },
  });

/** `/api/deploy`. Wants the actor in `c.var.actor`. */
export function deploymentRoutes(deps: EngineDeps): OpenAPIHono<ActorEnv> {
  const routes = createRouter<ActorEnv>();
  // Before the JSON route, which has the same path.
  routes.get("/status/:deploymentId", async (c, next) => {
    if (!c.req.header("accept")?.includes("text/event-stream")) return next();
    requireRole(c.var.actor, "viewer");
    const id = c.req.param("deploymentId");
    const after = Number(c.req.header("last-event-id") ?? c.req.query("after") ?? 0) || 0;
    // Before the stream begins, so that an unknown id is a 404 and not a stream.
    await readStatus(deps.db, id, after);
    return streamSSE(c, (stream) => streamStatus(deps, stream, { id, after, signal: c.req.raw.signal }));
  });
  addSignals(routes, deps);
  routes.route("/", doraRoutes(deps));
  routes.route("/", planRoutes(deps));
  return routes
    .openapi(trigger, async (c) => {
      const body = c.req.valid("json");
      const key = c.req.valid("header")["idempotency-key"];
      requireRole(c.var.actor, "deployer");
      const answer = await once(
        { db: deps.claims, clock: deps.clock },
        claimOf(c.var.actor, "deploy.trigger", key, body),
        async () => {
          const { id, project, environment } = await triggerDeployment(deps, c.var.actor, body, key);
          const statusUrl = `/api/deploy/status/${id}`;
          return {
            status: 202,
            body: { deploymentId: id, project, environment, state: "queued", statusUrl },
          };
        },
      );
      return c.json(answer.body as z.infer<typeof schemas.Triggered>, answer.status as 202);
    })
    .openapi(status, async (c) => {
      requireRole(c.var.actor, "viewer");
      const { deploymentId } = c.req.valid("param");
      const { logsComplete: _, ...body } = await readStatus(
        deps.db,
        deploymentId,
        c.req.valid("query").after,
      );
      return c.json(body, 200);
    })
    .openapi(list, async (c) => {
      requireRole(c.var.actor, "viewer");
      return c.json({ deployments: await listDeployments(deps.db, c.req.valid("query")) }, 200);
    })
    .openapi(rollback, async (c) => {
      const body = c.req.valid("json");
      const key = c.req.valid("header")["idempotency-key"];
      requireRole(c.var.actor, "deployer");
      const answer = await once(
        { db: deps.claims, clock: deps.clock },
        claimOf(c.var.actor, "deploy.rollback", key, body),
        async () => ({
          status: 200,
          body: await rollbackDeployment(deps, c.var.actor, body, key),
        }),
      );
      return c.json(answer.body as z.infer<typeof schemas.RolledBack>, answer.status as 200);
    })
    .openapi(cancel, async (c) => {
      const after = await cancelDeployment(deps, c.var.actor, c.req.valid("param").deploymentId);
      return c.json({ deployment: await viewOne(deps.db, after) }, 200);
    });
}

function addSignals(routes: OpenAPIHono<ActorEnv>, deps: EngineDeps): void {
  for (const kind of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[]) {
    routes.openapi(signalRoute(kind), async (c) => {
      const { deploymentId } = c.req.valid("param");
      const { reason } = c.req.valid("json") ?? {};
      const after = await signalRollout(deps, c.var.actor, { deploymentId, kind, reason });
      return c.json({ deployment: await viewOne(deps.db, after) }, 202);
    });
  }
}

function claimOf(
  actor: Actor,
  route: string,
  key: string | undefined,
  body: unknown,
): Parameters<typeof once>[1] {
  return { actorId: actor.id ?? "system", route, key, body };
}
