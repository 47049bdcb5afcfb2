import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ActorEnv } from "../access/index.ts";
import { createRouter } from "../foundation/http.ts";
import type { EngineDeps } from "./engine.ts";
import { planDeployment } from "./plan-deployment.ts";
import { Environment, StateName, TriggerBody } from "./schemas.ts";

const strings = z.array(z.string()).readonly();
const Expected = z.string().openapi({ description: '"none", "unknown" or "about N s"' });

const Check = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("http"),
    path: z.string(),
    expectStatus: z.tuple([z.number(), z.number()]).readonly(),
    contains: z.string().nullable(),
  }),
  z.object({ type: z.literal("tcp") }),
  z.object({ type: z.literal("websocket"), path: z.string() }),
]);

const Migrations = z.object({ pending: strings, applied: strings, problems: strings }).nullable();

const Gate = z.object({
  waitsFor: z.string().nullable().openapi({ description: "What would hold it now; null: nothing" }),
  startsNow: z.boolean().openapi({ description: "False: a lock keeps it in the queue" }),
  approvals: z
    .object({
      required: z.number(),
      reviewers: strings,
      selfApproval: z.boolean(),
      expiresMs: z.number(),
    })
    .nullable(),
  waitMs: z.number(),
  locks: z.array(
    z.object({ id: z.string(), owner: z.string(), reason: z.string(), expiresAt: z.string().nullable() }),
  ),
  freezes: z.array(z.object({ id: z.string(), name: z.string(), until: z.string() })),
});

const PlanBody = z
  .object({
    project: z.string(),
    environment: Environment,
    place: z.string(),
    commit: z.object({ sha: z.string().nullable(), message: z.string().nullable(), dirty: z.boolean() }),
    services: z.array(
      z.object({
        name: z.string(),
        change: z.enum(["new", "changed", "unchanged"]),
        targetProject: z.string(),
        hosts: strings,
        checks: z.array(Check).readonly(),
        minHealthyMs: z.number().nullable(),
      }),
    ),
    steps: z.array(z.object({ at: StateName, text: z.string() })),
    migrations: z.object({ expand: Migrations, contract: Migrations }),
    gate: Gate,
    strategy: strings,
    downtime: z.object({
      expected: Expected,
      because: strings,
      services: z.array(z.object({ name: z.string(), expected: Expected, because: strings })),
    }),
    warnings: strings,
    rollback: z.object({
      to: z.string().nullable().openapi({ description: "What a rollback would go back to" }),
      barrier: z.string().nullable().openapi({ description: "The contract migration that bars the way" }),
      window: z.string(),
      windowMs: z.number(),
    }),
    queue: z.object({ ahead: z.number(), supersedes: strings }),
  })
  .openapi("DeploymentPlan");

const plan = createRoute({
  method: "post",
  path: "/plan",
  summary: "What a trigger with this body would do, and what downtime to expect (viewer)",
  security: [{ bearer: [] }],
  request: { body: { required: true, content: { "application/json": { schema: TriggerBody } } } },
  responses: {
    200: { description: "Nothing was deployed", content: { "application/json": { schema: PlanBody } } },
  },
});

export function planRoutes(deps: EngineDeps): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>().openapi(plan, async (c) =>
    c.json(await planDeployment(deps, c.var.actor, c.req.valid("json"), c.req.raw.signal), 200),
  );
}
