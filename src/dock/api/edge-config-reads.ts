import { type Context, Hono } from "hono";
import type { Dock } from "../dock.ts";
import { type EdgeConfig, valuesOf } from "../edge-config/edge-configs.ts";
import { opens } from "../edge-config/tokens.ts";

/**
 * What `@vercel/edge-config` reads, with a token of the edge config instead of the dock's. Its connection string is
 * `<the dock's URL>/<id>?token=<token>`.
 */
export function edgeConfigReadRoutes(dock: Dock): Hono {
  const app = new Hono();
  const one = "/:id{ecfg_[a-z0-9]{1,64}}";

  app.get(`${one}/item/:key`, async (c) => {
    const config = await open(dock, c, c.req.param("id"));
    if (config instanceof Response) return config;
    const item = Object.hasOwn(config.items, c.req.param("key"))
      ? config.items[c.req.param("key")]
      : undefined;
    if (item === undefined) {
      const message = "This item was not found.";
      // The digest tells the client that the edge config is there and the item is not.
      return c.json({ error: { code: "edge_config_item_not_found", message } }, 404, headersOf(config));
    }
    return answer(c, config, item.value);
  });

  app.get(`${one}/items`, async (c) => {
    const config = await open(dock, c, c.req.param("id"));
    if (config instanceof Response) return config;
    const keys = c.req.queries("key");
    const values = Object.entries(valuesOf(config.items)).filter(([key]) => !keys || keys.includes(key));
    return answer(c, config, Object.fromEntries(values));
  });

  app.get(`${one}/digest`, async (c) => {
    const config = await open(dock, c, c.req.param("id"));
    return config instanceof Response ? config : answer(c, config, config.digest);
  });

  app.get(one, async (c) => {
    const config = await open(dock, c, c.req.param("id"));
    if (config instanceof Response) return config;
    return answer(c, config, { digest: config.digest, items: valuesOf(config.items) });
  });

  return app;
}

async function open(dock: Dock, c: Context, id: string): Promise<EdgeConfig | Response> {
  const bearer = /^Bearer\s+(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  const token = bearer ?? c.req.query("token") ?? "";
  const config = await dock.db.selectFrom("edge_configs").selectAll().where("id", "=", id).executeTakeFirst();
  // Whoever has no token must not learn which ids exist.
  if (config && token !== "" && token.length <= 256 && (await opens(dock, id, token))) return config;
  const message = "The token does not open this edge config.";
  return c.json({ error: { code: "unauthorized", message } }, 401);
}

function answer(c: Context, config: EdgeConfig, body: unknown): Response {
  const headers = headersOf(config);
  if (c.req.header("if-none-match") === headers.etag) return c.body(null, 304, headers);
  return c.json(body as never, 200, headers);
}

function headersOf(config: EdgeConfig) {
  return {
    etag: `"${config.digest}"`,
    "x-edge-config-digest": config.digest,
    "x-edge-config-updated-at": String(config.updated_at.getTime()),
    "cache-control": "no-cache",
  };
}
