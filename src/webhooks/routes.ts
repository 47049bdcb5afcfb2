import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Env } from "hono";
import { bodyLimit } from "hono/body-limit";
import { type ActorEnv, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { createRouter } from "../foundation/http.ts";
import { getProject } from "../projects/index.ts";
import type { WebhookDeps } from "./deps.ts";
import { recentDeliveries } from "./queries.ts";
import { receiveDelivery } from "./receive.ts";
import { createWebhookSecret } from "./secret.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const ProjectParam = z.object({ project: z.string().min(1).max(255) });

/** GitHub's own limit of a payload. */
const MAX_BODY_BYTES = 25 * 2 ** 20;

/** What to tick at GitHub. */
const EVENTS = ["push", "pull_request", "create", "delete"];

const Outcome = z
  .object({
    did: z.enum(["pong", "sweep", "deploy", "ignored"]),
    why: z.string().optional(),
    environment: z.string().optional(),
    branch: z.string().optional(),
    commit: z.string().optional(),
    deploymentId: z.string().optional(),
  })
  .openapi("DeliveryOutcome");
const Receipt = Outcome.extend({ repeated: z.boolean() });

const receive = createRoute({
  method: "post",
  path: "/github/{project}",
  summary: "A delivery of GitHub; signed, without a token",
  security: [],
  request: { params: ProjectParam },
  responses: {
    200: { description: "Done before, or nothing to do but answer", content: json(Receipt) },
    202: { description: "A deployment is queued, or a sweep begins", content: json(Receipt) },
    204: { description: "Ignored; the header X-Signalbox-Ignored says why" },
  },
});

const createSecret = createRoute({
  method: "post",
  path: "/projects/{project}/webhook",
  summary: "Makes the secret of the project's webhook, in place of the one before (owner)",
  security,
  request: { params: ProjectParam },
  responses: {
    201: {
      description: "The only answer that ever shows `secret`",
      content: json(
        z.object({
          path: z.string(),
          secret: z.string(),
          contentType: z.literal("application/json"),
          events: z.array(z.string()),
        }),
      ),
    },
  },
});

const deliveries = createRoute({
  method: "get",
  path: "/projects/{project}/webhook",
  summary: "The latest deliveries, and what became of them",
  security,
  request: { params: ProjectParam },
  responses: {
    200: {
      description: "Newest first",
      content: json(
        z.object({
          path: z.string(),
          deliveries: z.array(
            z.object({
              id: z.string(),
              event: z.string(),
              receivedAt: z.string(),
              outcome: Outcome.nullable(),
            }),
          ),
        }),
      ),
    },
  },
});

/** `/api/webhooks`. Mount it before `authenticate`: the signature is the key. */
export function webhookRoutes<E extends Env>(deps: WebhookDeps): OpenAPIHono<E> {
  const router = createRouter<E>();
  router.use("/github/*", limit());
  return router.openapi(receive, async (c) => {
    const { outcome, repeated } = await receiveDelivery(deps, {
      project: c.req.valid("param").project,
      event: c.req.header("x-github-event"),
      deliveryId: c.req.header("x-github-delivery"),
      signature: c.req.header("x-hub-signature-256"),
      body: async () => new Uint8Array(await c.req.arrayBuffer()),
    });
    if (repeated || outcome.did === "pong") return c.json({ ...outcome, repeated }, 200);
    if (outcome.did !== "ignored") return c.json({ ...outcome, repeated }, 202);
    // A 204 has no body, and GitHub shows the headers of an answer.
    return c.body(null, 204, { "x-signalbox-ignored": outcome.why.replace(/[^\x20-\x7e]/g, "?") });
  });
}

/** `/projects/:project/webhook`; mount under `/api`, behind `authenticate`. */
export function webhookAdminRoutes(deps: WebhookDeps): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>()
    .openapi(createSecret, async (c) => {
      const { project } = c.req.valid("param");
      const { secret } = await createWebhookSecret(deps, c.var.actor, project);
      return c.json({ path: pathOf(project), secret, contentType: "application/json", events: EVENTS }, 201);
    })
    .openapi(deliveries, async (c) => {
      requireRole(c.var.actor, "viewer");
      const { id, name } = await getProject(deps.db, c.req.valid("param").project);
      const found = await recentDeliveries(deps.db, id);
      const shown = found.map(({ receivedAt, ...rest }) => ({
        ...rest,
        receivedAt: receivedAt.toISOString(),
      }));
      return c.json({ path: pathOf(name), deliveries: shown }, 200);
    });
}

function pathOf(project: string): string {
  return `/api/webhooks/github/${project}`;
}

function limit() {
  return bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: () => {
      throw new AppError("too_large", `The body is larger than ${MAX_BODY_BYTES} bytes.`, {
        hint: "GitHub sends no payload as large as this.",
      });
    },
  });
}
