import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Env } from "hono";
import { bodyLimit } from "hono/body-limit";
import { type ActorEnv, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { createRouter } from "../foundation/http.ts";
import { getProject } from "../projects/index.ts";
import type { OutsideDeps } from "./deps.ts";
import { oursNow, readWatches, recentEvents } from "./queries.ts";
import { receiveVercel } from "./receive.ts";
import { unpinProject } from "./unpin.ts";
import { setUpWebhook } from "./webhook.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const ProjectParam = z.object({ project: z.string().min(1).max(255) });

/** Vercel's payloads are a few kilobytes. */
const MAX_BODY_BYTES = 2 ** 20;
const EVENTS_SHOWN = 50;

const Watch = z
  .object({
    project: z.string(),
    targetProjectId: z.string(),
    production: z.string().nullable().openapi({ description: "Who has production's domains at the target" }),
    isOurs: z.boolean().openapi({ description: "False: production was moved outside of Signalbox" }),
    pinned: z.boolean().openapi({ description: "A rollback keeps new builds from taking the domains" }),
    paused: z.boolean(),
    autoAssign: z.boolean().nullable(),
    teamAutoAssign: z.boolean().nullable().openapi({ description: "As the team had it before we moved" }),
    rolling: z.object({ canary: z.string(), percent: z.number() }).nullable(),
    lookedAt: z.string().nullable(),
    failingSince: z.string().nullable(),
    failure: z.string().nullable(),
  })
  .openapi("OutsideWatch");

const Event = z
  .object({
    id: z.number(),
    at: z.string(),
    kind: z.string(),
    summary: z.string(),
    targetDeploymentId: z.string().nullable(),
    deploymentId: z.string().nullable().openapi({ description: "Ours, where there is one" }),
  })
  .openapi("OutsideEvent");

const all = createRoute({
  method: "get",
  path: "/outside",
  summary: "What every project's production is like at the target, whoever made it so",
  security,
  responses: { 200: { description: "By project", content: json(z.object({ watches: z.array(Watch) })) } },
});

const one = createRoute({
  method: "get",
  path: "/projects/{project}/outside",
  summary: "One project's production at the target, and what others did there, newest first",
  security,
  request: { params: ProjectParam },
  responses: {
    200: {
      description: "Newest first",
      content: json(z.object({ watches: z.array(Watch), events: z.array(Event) })),
    },
  },
});

const lookNow = createRoute({
  method: "post",
  path: "/projects/{project}/outside/look",
  summary: "Looks at the target soon instead of within a minute (deployer)",
  security,
  request: { params: ProjectParam },
  responses: { 202: { description: "It begins", content: json(z.object({ looking: z.literal(true) })) } },
});

const unpin = createRoute({
  method: "post",
  path: "/projects/{project}/outside/unpin",
  summary: "Ends the pin that a rollback left at the target (deployer)",
  security,
  request: { params: ProjectParam },
  responses: {
    200: { description: "Those that were", content: json(z.object({ unpinned: z.array(z.string()) })) },
  },
});

const WebhookBody = z.object({
  secret: z.string().min(8).max(500).optional().openapi({ description: "Of one that was made by hand" }),
  url: z.url({ protocol: /^https?$/ }).optional(),
});

const webhook = createRoute({
  method: "post",
  path: "/projects/{project}/outside/webhook",
  summary: "Sets up the webhook by which Vercel tells us, in place of the one before (owner)",
  security,
  request: { params: ProjectParam, body: { required: true, content: json(WebhookBody) } },
  responses: {
    201: {
      description: "Its secret is kept sealed and never shown",
      content: json(z.object({ url: z.string().nullable(), path: z.string(), made: z.boolean() })),
    },
  },
});

const receive = createRoute({
  method: "post",
  path: "/vercel/{project}",
  summary: "A delivery of Vercel; signed, without a token",
  security: [],
  request: { params: ProjectParam },
  responses: {
    202: {
      description: "It is looked at",
      content: json(z.object({ did: z.literal("look"), type: z.string(), repeated: z.boolean() })),
    },
  },
});

/** `/api/webhooks`. Mount it before `authenticate`: the signature is the key. */
export function vercelWebhookRoutes<E extends Env>(deps: OutsideDeps): OpenAPIHono<E> {
  const router = createRouter<E>();
  const onError = () => {
    throw new AppError("too_large", `The body is larger than ${MAX_BODY_BYTES} bytes.`, {
      hint: "Vercel sends no payload as large as this.",
    });
  };
  router.use("/vercel/*", bodyLimit({ maxSize: MAX_BODY_BYTES, onError }));
  return router.openapi(receive, async (c) => {
    const receipt = await receiveVercel(deps, {
      project: c.req.valid("param").project,
      signature: c.req.header("x-vercel-signature"),
      body: async () => new Uint8Array(await c.req.arrayBuffer()),
    });
    return c.json(receipt, 202);
  });
}

/** `/outside` and `/projects/:project/outside`; mount under `/api`, behind `authenticate`. */
export function outsideRoutes(deps: OutsideDeps): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>()
    .openapi(all, async (c) => {
      requireRole(c.var.actor, "viewer");
      return c.json({ watches: await viewWatches(deps) }, 200);
    })
    .openapi(one, async (c) => {
      requireRole(c.var.actor, "viewer");
      const { id } = await getProject(deps.db, c.req.valid("param").project);
      const events = (await recentEvents(deps.db, id, EVENTS_SHOWN)).map((event) => ({
        id: Number(event.id),
        at: event.at.toISOString(),
        kind: event.kind,
        summary: event.summary,
        targetDeploymentId: event.target_deployment_id,
        deploymentId: event.deployment_id,
      }));
      return c.json({ watches: await viewWatches(deps, id), events }, 200);
    })
    .openapi(lookNow, async (c) => {
      requireRole(c.var.actor, "deployer");
      const { id } = await getProject(deps.db, c.req.valid("param").project);
      deps.wake(id);
      return c.json({ looking: true as const }, 202);
    })
    .openapi(unpin, async (c) => {
      const { project } = c.req.valid("param");
      return c.json(await unpinProject(deps, c.var.actor, project, c.req.raw.signal), 200);
    })
    .openapi(webhook, async (c) => {
      const { project } = c.req.valid("param");
      return c.json(await setUpWebhook(deps, c.var.actor, project, c.req.valid("json")), 201);
    });
}

async function viewWatches({ db }: OutsideDeps, projectId?: string) {
  const rows = await readWatches(db, projectId);
  return Promise.all(
    rows.map(async (row) => {
      const { expected } = await oursNow(db, row.project_id, row.target_project_id);
      const { production, pinned, paused, autoAssign, teamAutoAssign, rolling } = row.seen ?? NOTHING_SEEN;
      return {
        project: row.project,
        targetProjectId: row.target_project_id,
        production,
        isOurs: production === null || expected.size === 0 || expected.has(production),
        pinned,
        paused,
        autoAssign,
        teamAutoAssign,
        rolling,
        lookedAt: row.looked_at?.toISOString() ?? null,
        failingSince: row.failing_since?.toISOString() ?? null,
        failure: row.failure,
      };
    }),
  );
}

const NOTHING_SEEN = {
  production: null,
  pinned: false,
  paused: false,
  autoAssign: null,
  teamAutoAssign: null,
  rolling: null,
} as const;
