import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ActorEnv } from "../access/index.ts";
import { createRouter } from "../foundation/http.ts";
import { createMaintenance } from "./create-maintenance.ts";
import { endMaintenance } from "./end-maintenance.ts";
import { listMaintenance } from "./list-maintenance.ts";
import type { MaintenanceDeps, MaintenanceWindow } from "./maintenance.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const instant = z.iso.datetime({ offset: true });
const ProjectParam = z.object({ project: z.string().min(1).max(255) });

const WindowInput = z
  .strictObject({
    environment: z.enum(["preview", "staging", "production"]),
    checks: z
      .array(z.string().min(1).max(255))
      .max(1_000)
      .optional()
      .openapi({ description: "Names; left out: every check of the environment, those made later too" }),
    from: instant.optional().openapi({ description: "Default: now" }),
    to: instant.openapi({ description: "At most 31 days after it begins" }),
    reason: z.string().max(1_000),
  })
  .openapi("NewMaintenanceWindow");

const WindowBody = z
  .object({
    id: z.string(),
    environment: z.string(),
    checks: z.array(z.string()).nullable().openapi({ description: "Null: every check of the environment" }),
    from: z.string(),
    to: z.string(),
    reason: z.string(),
    createdBy: z.string(),
    createdAt: z.string(),
    endedAt: z.string().nullable().openapi({ description: "Ended, or called off, before its time" }),
  })
  .openapi("MaintenanceWindow");

const create = createRoute({
  method: "post",
  path: "/projects/{project}/maintenance-windows",
  summary: "Plans trouble: no incident, and not counted as downtime (deployer)",
  security,
  request: { params: ProjectParam, body: { required: true, content: json(WindowInput) } },
  responses: { 201: { description: "The window", content: json(WindowBody) } },
});

const list = createRoute({
  method: "get",
  path: "/projects/{project}/maintenance-windows",
  summary: "The windows of maintenance that last or are to come",
  security,
  request: {
    params: ProjectParam,
    query: z.object({
      past: z
        .enum(["true", "false"])
        .optional()
        .openapi({ description: "With those that are over, the newest 500 in all" }),
    }),
  },
  responses: {
    200: {
      description: "In the order of their beginnings",
      content: json(z.object({ windows: z.array(WindowBody) })),
    },
  },
});

const end = createRoute({
  method: "post",
  path: "/projects/{project}/maintenance-windows/{id}/end",
  summary: "Ends a window now, or calls it off (deployer)",
  security,
  request: { params: ProjectParam.extend({ id: z.string().min(1).max(80) }) },
  responses: { 200: { description: "The window", content: json(WindowBody) } },
});

/** `/projects/:project/maintenance-windows…`; mount under `/api`, behind `authenticate`. */
export function maintenanceRoutes(deps: MaintenanceDeps): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>()
    .openapi(create, async (c) => {
      const { from, to, ...rest } = c.req.valid("json");
      const times = { from: from === undefined ? undefined : new Date(from), to: new Date(to) };
      const window = await createMaintenance(deps, c.var.actor, c.req.valid("param").project, {
        ...rest,
        ...times,
      });
      return c.json(windowBody(window), 201);
    })
    .openapi(list, async (c) => {
      const past = c.req.valid("query").past === "true";
      const windows = await listMaintenance(deps, c.var.actor, c.req.valid("param").project, { past });
      return c.json({ windows: windows.map(windowBody) }, 200);
    })
    .openapi(end, async (c) => {
      const { project, id } = c.req.valid("param");
      return c.json(windowBody(await endMaintenance(deps, c.var.actor, project, id)), 200);
    });
}

function windowBody(window: MaintenanceWindow): z.infer<typeof WindowBody> {
  const { id, environment, checks, from, to, reason, actorName: createdBy, createdAt, endedAt } = window;
  return {
    id,
    environment,
    checks: checks && [...checks],
    from: from.toISOString(),
    to: to.toISOString(),
    reason,
    createdBy,
    createdAt: createdAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  };
}
