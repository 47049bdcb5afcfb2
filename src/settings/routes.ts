import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { type ActorEnv, requireRole } from "../access/index.ts";
import { createRouter } from "../foundation/http.ts";
import { allowNetwork, denyNetwork } from "./allow-network.ts";
import type { SettingsDeps } from "./deps.ts";
import { listNetworks } from "./networks.ts";
import { listSecrets } from "./secrets.ts";
import { deleteSecret, setSecret } from "./set-secret.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const ProjectParam = z.object({ project: z.string().min(1).max(255) });
const environment = z.enum(["preview", "staging", "production", "development"]);
const cidr = z.string().min(1).max(64).openapi({ example: "10.20.0.0/16" });

/** A variable's name, so that a secret may later be one. */
const name = z
  .string()
  .max(100)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
    error: "must be letters, digits and _, not starting with a digit, at most 100",
  });
const SecretParam = ProjectParam.extend({ name });
const OfEnvironment = z.object({ environment: environment.optional() });

const Secret = z
  .object({
    name: z.string(),
    environment: environment.nullable().openapi({ description: "Null: all that have none of their own" }),
    updatedAt: z.iso.datetime(),
    by: z.string(),
  })
  .openapi("Secret");

const Network = z
  .object({
    cidr: z.string(),
    reason: z.string().nullable(),
    by: z.string().nullable().openapi({ description: "Null: SIGNALBOX_ALLOW_NETWORKS of the installation" }),
    at: z.iso.datetime().nullable(),
  })
  .openapi("AllowedNetwork");

const secretList = createRoute({
  method: "get",
  path: "/projects/{project}/secrets",
  summary: "The names of the project's secrets; no answer ever shows a value (deployer)",
  security,
  request: { params: ProjectParam },
  responses: { 200: { description: "By name", content: json(z.object({ secrets: z.array(Secret) })) } },
});

const secretSet = createRoute({
  method: "put",
  path: "/projects/{project}/secrets/{name}",
  summary: "Sets a secret, in place of what it was before (deployer)",
  security,
  request: {
    params: SecretParam,
    body: {
      required: true,
      content: json(
        z.strictObject({
          value: z.string().min(1).max(65_536),
          environment: environment.nullish().openapi({ description: "Left out: all environments" }),
        }),
      ),
    },
  },
  responses: {
    200: { description: "Changed", content: json(z.object({ created: z.boolean() })) },
    201: { description: "Made", content: json(z.object({ created: z.boolean() })) },
  },
});

const secretDelete = createRoute({
  method: "delete",
  path: "/projects/{project}/secrets/{name}",
  summary: "Takes a secret away (deployer)",
  security,
  request: { params: SecretParam, query: OfEnvironment },
  responses: { 204: { description: "Gone" } },
});

const networkList = createRoute({
  method: "get",
  path: "/projects/{project}/networks",
  summary: "The private networks that the project may reach",
  security,
  request: { params: ProjectParam },
  responses: {
    200: { description: "Oldest first", content: json(z.object({ networks: z.array(Network) })) },
  },
});

const networkAllow = createRoute({
  method: "post",
  path: "/projects/{project}/networks",
  summary: "Lets the project reach a private network (owner)",
  security,
  request: {
    params: ProjectParam,
    body: {
      required: true,
      content: json(z.strictObject({ cidr, reason: z.string().trim().min(1).max(500) })),
    },
  },
  responses: { 201: { description: "As it is kept", content: json(z.object({ cidr: z.string() })) } },
});

const networkDeny = createRoute({
  method: "delete",
  path: "/projects/{project}/networks",
  summary: "Takes an allowed network away (owner)",
  security,
  request: { params: ProjectParam, query: z.object({ cidr }) },
  responses: { 204: { description: "It is not reached any more" } },
});

/** `/projects/:project/secrets` and `/networks`; mount under `/api`, behind `authenticate`. */
export function settingsRoutes(deps: SettingsDeps): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>()
    .openapi(secretList, async (c) => {
      requireRole(c.var.actor, "deployer");
      const id = await deps.projectIdOf(c.req.valid("param").project);
      const secrets = (await listSecrets(deps.db, id)).map(({ updatedAt, actorName, ...rest }) => ({
        name: rest.name,
        environment: rest.environment as z.infer<typeof environment> | null,
        updatedAt: updatedAt.toISOString(),
        by: actorName,
      }));
      return c.json({ secrets }, 200);
    })
    .openapi(secretSet, async (c) => {
      const { value, environment: of = null } = c.req.valid("json");
      const place = { ...c.req.valid("param"), environment: of, value };
      const { created } = await setSecret(deps, c.var.actor, place);
      return c.json({ created }, created ? 201 : 200);
    })
    .openapi(secretDelete, async (c) => {
      const { environment: of = null } = c.req.valid("query");
      await deleteSecret(deps, c.var.actor, { ...c.req.valid("param"), environment: of });
      return c.body(null, 204);
    })
    .openapi(networkList, async (c) => {
      requireRole(c.var.actor, "viewer");
      const id = await deps.projectIdOf(c.req.valid("param").project);
      const own = (await listNetworks(deps.db, id)).map(({ actorName, createdAt, ...network }) => ({
        ...network,
        by: actorName,
        at: createdAt.toISOString(),
      }));
      const everywhere = deps.allowNetworks.map((each) => ({ cidr: each, reason: null, by: null, at: null }));
      return c.json({ networks: [...everywhere, ...own] }, 200);
    })
    .openapi(networkAllow, async (c) => {
      const { project } = c.req.valid("param");
      return c.json(await allowNetwork(deps, c.var.actor, { project, ...c.req.valid("json") }), 201);
    })
    .openapi(networkDeny, async (c) => {
      const { project } = c.req.valid("param");
      await denyNetwork(deps, c.var.actor, { project, ...c.req.valid("query") });
      return c.body(null, 204);
    });
}
