import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ActorEnv } from "../access/index.ts";
import { createRouter } from "../foundation/http.ts";
import { closePreview } from "./close-preview.ts";
import type { PreviewDeps } from "./deps.ts";
import { listPreviews } from "./list-previews.ts";
import type { PreviewPolicy } from "./policy.ts";
import { readSweep } from "./queries.ts";
import * as schemas from "./schemas.ts";
import { getPreviewPolicy, setPreviewPolicy, withoutPassword } from "./set-policy.ts";
import { sweepNow } from "./sweep-now.ts";
import type { StepTaken } from "./tables.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });

const getPolicy = createRoute({
  method: "get",
  path: "/projects/{project}/previews",
  summary: "The project's preview policy, and how the last sweep went",
  security,
  request: { params: schemas.ProjectParam },
  responses: { 200: { description: "Policy and last sweep", content: json(schemas.PolicyAnswer) } },
});

const putPolicy = createRoute({
  method: "put",
  path: "/projects/{project}/previews",
  summary: "Sets the project's preview policy, whole (owner)",
  security,
  request: {
    params: schemas.ProjectParam,
    body: { required: true, content: json(schemas.PolicyBody) },
  },
  responses: { 200: { description: "Policy and last sweep", content: json(schemas.PolicyAnswer) } },
});

const sweep = createRoute({
  method: "post",
  path: "/projects/{project}/previews/sweep",
  summary: "Compares what is open with the previews that exist, now (deployer)",
  security,
  request: { params: schemas.ProjectParam },
  responses: { 200: { description: "What was done", content: json(schemas.Steps) } },
});

const list = createRoute({
  method: "get",
  path: "/previews",
  summary: "The previews that exist",
  security,
  request: { query: schemas.ListQuery },
  responses: {
    200: {
      description: "By project and key",
      content: json(z.object({ previews: z.array(schemas.PreviewBody) })),
    },
  },
});

const close = createRoute({
  method: "delete",
  path: "/previews/{project}/{key}",
  summary: "Takes a preview away now (deployer)",
  security,
  request: { params: schemas.PreviewParam },
  responses: { 204: { description: "It goes" } },
});

/** `/previews…` and `/projects/:project/previews…`; mount under `/api`, behind `authenticate`. */
export function previewRoutes(deps: PreviewDeps): OpenAPIHono<ActorEnv> {
  const answer = async (project: string, projectId: string, policy: PreviewPolicy) => {
    const last = await readSweep(deps.db, projectId);
    return {
      project,
      policy: { ...policy, gitUrl: withoutPassword(policy.gitUrl) },
      lastSweep: {
        at: last.sweptAt?.toISOString() ?? null,
        failingSince: last.failingSince?.toISOString() ?? null,
        failure: last.failure,
        steps: stepsBody(last.steps),
      },
    };
  };
  const read = async (actor: ActorEnv["Variables"]["actor"], project: string) => {
    const { projectId, policy } = await getPreviewPolicy(deps, actor, project);
    return answer(project, projectId, policy);
  };
  return createRouter<ActorEnv>()
    .openapi(getPolicy, async (c) => c.json(await read(c.var.actor, c.req.valid("param").project), 200))
    .openapi(putPolicy, async (c) => {
      const { project } = c.req.valid("param");
      await setPreviewPolicy(deps, c.var.actor, project, c.req.valid("json"));
      return c.json(await read(c.var.actor, project), 200);
    })
    .openapi(sweep, async (c) => {
      const steps = await sweepNow(deps, c.var.actor, c.req.valid("param").project, c.req.raw.signal);
      return c.json({ steps: stepsBody(steps) }, 200);
    })
    .openapi(list, async (c) =>
      c.json({ previews: await listPreviews(deps, c.var.actor, c.req.valid("query").project) }, 200),
    )
    .openapi(close, async (c) => {
      await closePreview(deps, c.var.actor, c.req.valid("param"));
      return c.body(null, 204);
    });
}

function stepsBody(steps: readonly StepTaken[]) {
  return steps.map(({ kind, key, why, failed, deploymentId }) => ({
    kind,
    key,
    why,
    ...(failed === undefined ? {} : { failed }),
    ...(deploymentId === undefined ? {} : { deploymentId }),
  }));
}
