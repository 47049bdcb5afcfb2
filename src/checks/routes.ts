import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { createRouter } from "../foundation/http.ts";
import type { Readiness } from "./readiness.ts";

const Check = z.object({ ok: z.boolean(), latencyMs: z.number(), error: z.string().optional() });
const ReadyBody = z.object({ status: z.enum(["ready", "not_ready"]), checks: z.record(z.string(), Check) });

const live = createRoute({
  method: "get",
  path: "/live",
  summary: "Whether this process answers",
  responses: {
    200: {
      description: "It does",
      content: { "application/json": { schema: z.object({ status: z.literal("live") }) } },
    },
  },
});

const ready = createRoute({
  method: "get",
  path: "/ready",
  summary: "Whether this process can do its work",
  responses: {
    200: { description: "It can", content: { "application/json": { schema: ReadyBody } } },
    503: {
      description: "It cannot; `checks` says why",
      content: { "application/json": { schema: ReadyBody } },
    },
  },
});

/** `/live` and `/ready`, without a token: load balancers have none. */
export function healthRoutes(deps: { readiness(): Readiness }): OpenAPIHono {
  return createRouter()
    .openapi(live, (c) => c.json({ status: "live" as const }, 200))
    .openapi(ready, (c) => {
      const readiness = deps.readiness();
      return c.json({ ...readiness }, readiness.status === "ready" ? 200 : 503);
    });
}
