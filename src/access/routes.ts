import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { createRouter } from "../foundation/http.ts";
import type { Ids } from "../foundation/ids.ts";
import { ROLES, requireRole } from "./actor.ts";
import type { ActorEnv } from "./authenticate.ts";
import type { AccessTables } from "./tables.ts";
import { createToken, listTokens, revokeToken } from "./tokens.ts";

const security = [{ bearer: [] }];
const Token = z
  .object({ id: z.string(), name: z.string(), role: z.enum(ROLES), createdAt: z.iso.datetime() })
  .openapi("Token");
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });

const list = createRoute({
  method: "get",
  path: "/",
  summary: "The active tokens, without their secrets (owner)",
  security,
  responses: { 200: { description: "Oldest first", content: json(z.object({ tokens: z.array(Token) })) } },
});

const create = createRoute({
  method: "post",
  path: "/",
  summary: "Makes a token (owner)",
  security,
  request: {
    body: {
      required: true,
      content: json(z.strictObject({ name: z.string().min(1).max(80), role: z.enum(ROLES) })),
    },
  },
  responses: {
    201: {
      description: "The only answer that ever shows `token`",
      content: json(z.object({ id: z.string(), token: z.string() })),
    },
  },
});

const revoke = createRoute({
  method: "delete",
  path: "/{id}",
  summary: "Ends a token at once (owner)",
  security,
  request: { params: z.object({ id: z.string() }) },
  responses: { 204: { description: "Ended" } },
});

/** `/api/tokens`. */
export function tokenRoutes(deps: {
  db: Database<AccessTables>;
  clock: Clock;
  ids: Ids;
}): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>()
    .openapi(list, async (c) => {
      requireRole(c.var.actor, "owner");
      const tokens = await listTokens(deps);
      return c.json({
        tokens: tokens.map(({ createdAt, ...rest }) => ({ ...rest, createdAt: createdAt.toISOString() })),
      });
    })
    .openapi(create, async (c) => c.json(await createToken(deps, c.var.actor, c.req.valid("json")), 201))
    .openapi(revoke, async (c) => {
      await revokeToken(deps, c.var.actor, c.req.valid("param").id);
      return c.body(null, 204);
    });
}
