import { Hono } from "hono";
import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { getDeployment } from "../deployments/queries.ts";
import { type Dock, USER } from "../dock.ts";
import { assignAlias, removeAlias } from "../pointers/assign-alias.ts";
import { redirectAlias } from "../projects/project-domains.ts";
import type { DockTables } from "../rows.ts";
import { readBody, readQuery } from "./body.ts";

const AssignBody = z.object({ alias: z.string().min(1).max(260), redirect: z.string().max(253).nullish() });
const ListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  projectId: z.string().optional(),
  domain: z.string().optional(),
  until: z.coerce.number().int().optional(),
});

export function aliasRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.post("/deployments/:id/aliases", async (c) => {
    const body = await readBody(c, AssignBody);
    const assigned = await assignAlias(dock, c.req.param("id"), body.alias);
    if (body.redirect !== undefined) await redirectAlias(dock, assigned.alias, body.redirect);
    return c.json({ ...assigned, created: assigned.created.toISOString() });
  });

  app.get("/deployments/:id/aliases", async (c) => {
    const { id } = await getDeployment(dock, c.req.param("id"));
    const rows = await dock.db.selectFrom("aliases").selectAll().where("deployment_id", "=", id).execute();
    const aliases = rows.map((row) => ({
      uid: row.uid,
      alias: row.host,
      created: row.created_at.toISOString(),
      redirect: dock.traffic.state.domains.get(row.host)?.redirect?.to ?? null,
    }));
    return c.json({ aliases });
  });

  app.get("/aliases", async (c) => {
    const query = readQuery(c, ListQuery);
    let select = dock.db
      .selectFrom("aliases")
      .selectAll()
      .orderBy("created_at", "desc")
      .limit(query.limit + 1);
    if (query.projectId) select = select.where("project_id", "=", query.projectId);
    if (query.domain) select = select.where("host", "=", query.domain);
    if (query.until !== undefined) select = select.where("created_at", "<", new Date(query.until));
    const rows = await select.execute();
    const page = rows.slice(0, query.limit);
    const next = rows.length > page.length ? (page.at(-1)?.created_at.getTime() ?? null) : null;
    const aliases = page.map((row) => aliasView(dock, row));
    return c.json({ aliases, pagination: { count: page.length, next, prev: null } });
  });

  app.get("/aliases/:alias", async (c) => {
    const asked = c.req.param("alias");
    const row = await dock.db
      .selectFrom("aliases")
      .selectAll()
      .where((eb) => eb.or([eb("host", "=", asked.toLowerCase()), eb("uid", "=", asked)]))
      .executeTakeFirst();
    if (!row) throw new AppError("not_found", `There is no alias "${asked.slice(0, 260)}".`);
    return c.json(aliasView(dock, row));
  });

  app.delete("/aliases/:alias", async (c) => {
    await removeAlias(dock, c.req.param("alias"));
    return c.json({ status: "SUCCESS" });
  });

  return app;
}

function aliasView(
  dock: Dock,
  row: Pick<
    DockTables["aliases"],
    "host" | "uid" | "created_at" | "updated_at" | "deployment_id" | "project_id"
  >,
) {
  const release = dock.traffic.state.releases.get(row.deployment_id);
  const redirect = dock.traffic.state.domains.get(row.host)?.redirect;
  return {
    uid: row.uid,
    alias: row.host,
    created: row.created_at.toISOString(),
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
    deploymentId: row.deployment_id,
    projectId: row.project_id,
    redirect: redirect?.to ?? null,
    ...(redirect ? { redirectStatusCode: redirect.status } : {}),
    creator: { uid: USER.id, username: USER.username, email: USER.email },
    ...(release ? { deployment: { id: release.id, url: release.host } } : {}),
  };
}
