import { Hono } from "hono";
import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { type Dock, TEAM, USER } from "../dock.ts";
import {
  changeItems,
  createEdgeConfig,
  deleteEdgeConfig,
  type EdgeConfig,
  getEdgeConfig,
  listEdgeConfigs,
  renameEdgeConfig,
  setDefinition,
  sizeOf,
} from "../edge-config/edge-configs.ts";
import {
  createToken,
  deleteTokens,
  type EdgeConfigToken,
  getToken,
  listTokens,
} from "../edge-config/tokens.ts";
import type { EdgeConfigItem } from "../resource-rows.ts";
import { readBody } from "./body.ts";

const CreateBody = z.object({ slug: z.string(), items: z.record(z.string(), z.unknown()).default({}) });
const ItemsBody = z.object({
  items: z
    .array(
      z.object({
        operation: z.enum(["create", "update", "upsert", "delete"]),
        key: z.string(),
        value: z.unknown().optional(),
        description: z.string().max(512).optional(),
      }),
    )
    .max(1_000),
});
const Names = z.array(z.string().max(256)).max(100).default([]);
const TokensBody = z.object({ tokens: Names, ids: Names });

/** Edge configs; Vercel's newer name for them is global config. */
export function edgeConfigRoutes(dock: Dock): Hono {
  const app = new Hono();
  for (const base of ["/edge-config", "/global-config"]) {
    app.route(base, configRoutes(dock));
    app.route(base, itemRoutes(dock));
    app.route(base, tokenRoutes(dock));
  }
  return app;
}

function configRoutes(dock: Dock): Hono {
  const app = new Hono();
  app.get("/", async (c) => c.json((await listEdgeConfigs(dock)).map(configView)));
  app.post("/", async (c) => {
    const { slug, items } = await readBody(c, CreateBody);
    return c.json(configView(await createEdgeConfig(dock, slug, items)), 201);
  });
  app.get("/:id", async (c) => c.json(configView(await getEdgeConfig(dock, c.req.param("id")))));
  app.put("/:id", async (c) => {
    const { slug } = await readBody(c, CreateBody.pick({ slug: true }));
    return c.json(configView(await renameEdgeConfig(dock, c.req.param("id"), slug)));
  });
  app.delete("/:id", async (c) => {
    await deleteEdgeConfig(dock, c.req.param("id"));
    return c.body(null, 204);
  });
  app.get("/:id/schema", async (c) =>
    c.json((await getEdgeConfig(dock, c.req.param("id"))).definition ?? {}),
  );
  app.post("/:id/schema", async (c) => {
    const { definition } = await readBody(c, z.object({ definition: z.record(z.string(), z.unknown()) }));
    if (c.req.query("dryRun") === undefined) await setDefinition(dock, c.req.param("id"), definition);
    return c.json(definition);
  });
  app.delete("/:id/schema", async (c) => {
    await setDefinition(dock, c.req.param("id"), null);
    return c.body(null, 204);
  });
  return app;
}

function itemRoutes(dock: Dock): Hono {
  const app = new Hono();
  app.get("/:id/items", async (c) => {
    const config = await getEdgeConfig(dock, c.req.param("id"));
    return c.json(Object.entries(config.items).map(([key, item]) => itemView(config, key, item)));
  });
  app.patch("/:id/items", async (c) => {
    const { items } = await readBody(c, ItemsBody);
    await changeItems(dock, c.req.param("id"), items);
    return c.json({ status: "ok" });
  });
  app.get("/:id/item/:key", async (c) => {
    const config = await getEdgeConfig(dock, c.req.param("id"));
    const key = c.req.param("key");
    const item = Object.hasOwn(config.items, key) ? config.items[key] : undefined;
    if (item) return c.json(itemView(config, key, item));
    throw new AppError("not_found", `The edge config has no item "${key.slice(0, 256)}".`);
  });
  return app;
}

function tokenRoutes(dock: Dock): Hono {
  const app = new Hono();
  app.post("/:id/token", async (c) => {
    const { label } = await readBody(c, z.object({ label: z.string().min(1).max(52) }));
    return c.json(await createToken(dock, c.req.param("id"), label), 201);
  });
  app.get("/:id/token/:token", async (c) => {
    const row = await getToken(dock, c.req.param("id"), c.req.param("token"));
    return c.json({ ...tokenView(dock, row), token: dock.secrets.open(row.sealed, row.id) });
  });
  app.get("/:id/tokens", async (c) => {
    const rows = await listTokens(dock, c.req.param("id"));
    return c.json(rows.map((row) => tokenView(dock, row)));
  });
  app.delete("/:id/tokens", async (c) => {
    const { tokens, ids } = await readBody(c, TokensBody);
    await deleteTokens(dock, c.req.param("id"), [...tokens, ...ids]);
    return c.body(null, 204);
  });
  return app;
}

function configView(row: EdgeConfig) {
  return {
    id: row.id,
    slug: row.slug,
    ownerId: TEAM.id,
    createdBy: USER.id,
    digest: row.digest,
    itemCount: Object.keys(row.items).length,
    sizeInBytes: sizeOf(row.items),
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}

function itemView(config: EdgeConfig, key: string, item: EdgeConfigItem) {
  return { edgeConfigId: config.id, key, ...item };
}

function tokenView(dock: Dock, row: EdgeConfigToken) {
  return {
    id: row.id,
    edgeConfigId: row.edge_config_id,
    label: row.label,
    partialToken: `${dock.secrets.open(row.sealed, row.id).slice(0, 3)}********`,
    createdAt: row.created_at.getTime(),
  };
}
