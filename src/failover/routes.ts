import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ActorEnv } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { createRouter } from "../foundation/http.ts";
import type { FailoverDeps } from "./deps.ts";
import { getStatus, listStatus } from "./get-status.ts";
import * as schemas from "./schemas.ts";
import { setAutomatic } from "./set-automatic.ts";
import { switchByHand } from "./switch-by-hand.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const status = { description: "The failover as it is now", content: json(schemas.Status) };

const list = createRoute({
  method: "get",
  path: "/failovers",
  summary: "Every project's failover",
  security,
  responses: {
    200: { description: "By project", content: json(z.object({ failovers: z.array(schemas.Status) })) },
  },
});

const get = createRoute({
  method: "get",
  path: "/projects/{project}/failover",
  summary: "Who serves production, how the primary does, and whether the standby is ready",
  security,
  request: { params: schemas.ProjectParam },
  responses: { 200: status },
});

const move = createRoute({
  method: "post",
  path: "/projects/{project}/failover/switch",
  summary: "Moves the hostname to the other side, now (deployer)",
  description: "Answers once it is written down; `switch` in the answer is null when it was there already.",
  security,
  request: {
    params: schemas.ProjectParam,
    body: { required: true, content: json(schemas.SwitchBody) },
  },
  responses: { 202: status },
});

const automatic = createRoute({
  method: "put",
  path: "/projects/{project}/failover/automatic",
  summary: "Holds automatic switches back, or allows them again (deployer)",
  security,
  request: {
    params: schemas.ProjectParam,
    body: { required: true, content: json(schemas.AutomaticBody) },
  },
  responses: { 200: status },
});

function refuse(): never {
  throw new AppError("unprocessable", "Production is on the dock already, so there is no second place.", {
    hint: "Failover is from Vercel to the dock: set SIGNALBOX_VERCEL_TOKEN to deploy to Vercel.",
  });
}

/** `/failovers` and `/projects/:project/failover…`; mount under `/api`, behind `authenticate`. Null: there is none. */
export function failoverRoutes(deps: FailoverDeps | null): OpenAPIHono<ActorEnv> {
  const router = createRouter<ActorEnv>();
  if (deps === null) {
    router.all("/projects/:project/failover/*", refuse).all("/failovers", refuse);
    return router;
  }
  return router
    .openapi(list, async (c) => c.json({ failovers: await listStatus(deps, c.var.actor) }, 200))
    .openapi(get, async (c) => c.json(await getStatus(deps, c.var.actor, c.req.valid("param").project), 200))
    .openapi(move, async (c) => {
      const { project } = c.req.valid("param");
      await switchByHand(deps, c.var.actor, { project, ...c.req.valid("json") });
      return c.json(await getStatus(deps, c.var.actor, project), 202);
    })
    .openapi(automatic, async (c) => {
      const { project } = c.req.valid("param");
      await setAutomatic(deps, c.var.actor, { project, ...c.req.valid("json") });
      return c.json(await getStatus(deps, c.var.actor, project), 200);
    });
}
