import { Hono } from "hono";
import { z } from "zod";
import { type Dock, TEAM } from "../dock.ts";
import { getProject } from "../projects/queries.ts";
import { HAPPENING, NEVER_HAPPENING } from "../webhooks/events.ts";
import {
  createWebhook,
  deleteWebhook,
  getWebhook,
  listWebhooks,
  type Webhook,
} from "../webhooks/webhooks.ts";
import { readBody } from "./body.ts";

const CreateBody = z.object({
  url: z.url({ protocol: /^https?$/ }).max(2_048),
  events: z.array(z.enum([...HAPPENING, ...NEVER_HAPPENING])).min(1),
  projectIds: z.array(z.string().max(100)).max(100).default([]),
});

/** Webhooks of the account. Addresses are checked when something is sent to them. */
export function webhookRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.post("/webhooks", async (c) => {
    const body = await readBody(c, CreateBody);
    const projectIds: string[] = [];
    for (const project of body.projectIds) projectIds.push((await getProject(dock.db, project)).id);
    const { webhook, secret } = await createWebhook(dock, { ...body, projectIds });
    return c.json({ ...webhookView(webhook), secret });
  });

  app.get("/webhooks", async (c) => {
    const asked = c.req.query("projectId");
    const project = asked === undefined ? null : await getProject(dock.db, asked);
    const rows = (await listWebhooks(dock)).filter(
      (row) => project === null || row.project_ids.length === 0 || row.project_ids.includes(project.id),
    );
    return c.json(rows.map(webhookView));
  });

  app.get("/webhooks/:id", async (c) => c.json(webhookView(await getWebhook(dock, c.req.param("id")))));

  app.delete("/webhooks/:id", async (c) => {
    await deleteWebhook(dock, c.req.param("id"));
    return c.body(null, 204);
  });

  return app;
}

function webhookView(row: Webhook) {
  return {
    id: row.id,
    url: row.url,
    events: row.events,
    ownerId: TEAM.id,
    ...(row.project_ids.length > 0 ? { projectIds: row.project_ids } : {}),
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}
