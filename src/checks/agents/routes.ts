import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Env } from "hono";
import { bodyLimit } from "hono/body-limit";
import type { ActorEnv } from "../../access/index.ts";
import { AppError } from "../../foundation/errors.ts";
import { createRouter } from "../../foundation/http.ts";
import { agentWork } from "./agent-work.ts";
import { authenticateAgent } from "./authenticate-agent.ts";
import { createAgent } from "./create-agent.ts";
import type { AgentDeps } from "./deps.ts";
import { listProbers } from "./list-probers.ts";
import { Push, Receipt } from "./push.ts";
import { receiveResults } from "./receive-results.ts";
import { revokeAgent } from "./revoke-agent.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const MAX_PUSH_BYTES = 8 * 2 ** 20;

const Location = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/, {
    error: "is no location: lower-case letters, digits and dashes, at most 40",
  })
  .openapi({ example: "fra" });

const Prober = z
  .object({
    id: z.string(),
    location: z.string(),
    kind: z.enum(["inside", "agent"]),
    seenAt: z.iso.datetime().nullable(),
    isSeen: z.boolean().openapi({ description: "Heard of within the last minute" }),
    report: z
      .record(z.string(), z.union([z.number(), z.boolean(), z.null(), z.record(z.string(), z.number())]))
      .nullable(),
  })
  .openapi("Prober");

const list = createRoute({
  method: "get",
  path: "/probers",
  summary: "Who probes, from where, and how late it is",
  security,
  responses: {
    200: {
      description: "Those inside, then the agents",
      content: json(z.object({ probers: z.array(Prober) })),
    },
  },
});

const create = createRoute({
  method: "post",
  path: "/probers",
  summary: "Makes the token of an agent at another place (owner)",
  security,
  request: { body: { required: true, content: json(z.strictObject({ location: Location })) } },
  responses: {
    201: {
      description: "The only answer that ever shows `token`",
      content: json(z.object({ id: z.string(), location: z.string(), token: z.string() })),
    },
  },
});

const revoke = createRoute({
  method: "delete",
  path: "/probers/{id}",
  summary: "Ends an agent's token at once (owner)",
  security,
  request: { params: z.object({ id: z.string().min(1).max(100) }) },
  responses: { 204: { description: "Ended; what it found stays" } },
});

/** `/probers…`; mount under `/api`, behind `authenticate`. */
export function proberRoutes(deps: AgentDeps): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>()
    .openapi(list, async (c) => {
      const probers = (await listProbers(deps.db, deps.clock.now())).map(({ seenAt, ...rest }) => {
        return { ...rest, seenAt: seenAt?.toISOString() ?? null };
      });
      return c.json({ probers }, 200);
    })
    .openapi(create, async (c) => c.json(await createAgent(deps, c.var.actor, c.req.valid("json")), 201))
    .openapi(revoke, async (c) => {
      await revokeAgent(deps, c.var.actor, c.req.valid("param").id);
      return c.body(null, 204);
    });
}

const work = createRoute({
  method: "get",
  path: "/work",
  summary: "The checks of the agent's location; with the token of an agent",
  security,
  responses: {
    200: {
      description: "With the secrets that they need",
      content: json(z.object({ location: z.string(), checks: z.array(z.record(z.string(), z.unknown())) })),
    },
    304: { description: "As it was (If-None-Match)" },
  },
});

const results = createRoute({
  method: "post",
  path: "/results",
  summary: "What the agent found; with the token of an agent",
  security,
  request: { body: { required: true, content: json(Push) } },
  responses: { 200: { description: "Taken", content: json(Receipt) } },
});

/** `/work` and `/results`; mount under `/api/agent`, before `authenticate`: agents have tokens of their own. */
export function agentRoutes<E extends Env>(deps: AgentDeps): OpenAPIHono<E> {
  // One push after the other: each holds a connection to the database and needs another.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(receive: () => Promise<T>): Promise<T> => {
    const turn = last.then(receive, receive);
    last = turn;
    return turn;
  };
  const router = createRouter<E>();
  router.use(async (c, next) => {
    // Told one thing and no more: whoever has no token learns nothing of what may be sent, and sends nothing.
    await authenticateAgent(deps.db, c.req.header("authorization"));
    await next();
  });
  router.use("/results", bodyLimit({ maxSize: MAX_PUSH_BYTES, onError: tooLarge }));
  return router
    .openapi(work, async (c) => {
      const agent = await authenticateAgent(deps.db, c.req.header("authorization"));
      const { etag, ...body } = await agentWork(deps, agent);
      if (c.req.header("if-none-match") === etag) return c.body(null, 304);
      c.header("etag", etag);
      c.header("cache-control", "no-store");
      return c.json({ ...body, checks: body.checks.map((check) => ({ ...check })) }, 200);
    })
    .openapi(results, async (c) => {
      const agent = await authenticateAgent(deps.db, c.req.header("authorization"));
      return c.json(await inTurn(() => receiveResults(deps, agent, c.req.valid("json"))), 200);
    });
}

function tooLarge(): never {
  throw new AppError("too_large", `A push has at most ${MAX_PUSH_BYTES} bytes.`, {
    hint: "Send fewer rounds at once.",
  });
}
