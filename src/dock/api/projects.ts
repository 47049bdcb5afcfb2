import { Hono } from "hono";
import { z } from "zod";
import { SettingsSchema } from "../deployments/deployment-request.ts";
import type { Dock } from "../dock.ts";
import { deleteProject, updateProject } from "../projects/change-project.ts";
import { createProject } from "../projects/create-project.ts";
import { createEnvironment } from "../projects/custom-environments.ts";
import { getEnvironment, getProject, listEnvironments, listProjects } from "../projects/queries.ts";
import { readBody, readQuery } from "./body.ts";
import { environmentView, projectView } from "./views.ts";

const CreateBody = SettingsSchema.extend({ name: z.string() });
const UpdateBody = SettingsSchema.extend({
  autoAssignCustomDomains: z.boolean().optional(),
  // Vercel's name and unit. 30 days are the longest that the dock remembers.
  skewProtectionMaxAge: z.number().int().min(0).max(2_592_000).optional(),
});
const ListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  search: z.string().max(100).optional(),
  until: z.coerce.number().int().optional(),
  from: z.coerce.number().int().optional(),
});
const EnvironmentBody = z.object({ slug: z.string(), description: z.string().max(256).nullish() });

export function projectRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.post("/projects", async (c) => {
    const { name, ...settings } = await readBody(c, CreateBody);
    return c.json(projectView(dock, await createProject(dock, { name, settings })));
  });

  app.get("/projects", async (c) => {
    const query = readQuery(c, ListQuery);
    const until = query.until ?? query.from;
    const rows = await listProjects(dock.db, {
      search: query.search,
      limit: query.limit + 1,
      before: until === undefined ? undefined : new Date(until),
    });
    const page = rows.slice(0, query.limit);
    const last = page.at(-1);
    const next = rows.length > page.length && last ? last.created_at.getTime() : null;
    const projects = page.map((row) => projectView(dock, row));
    return c.json({ projects, pagination: { count: page.length, next, prev: null } });
  });

  app.get("/projects/:project", async (c) =>
    c.json(projectView(dock, await getProject(dock.db, c.req.param("project")))),
  );

  app.patch("/projects/:project", async (c) => {
    const { autoAssignCustomDomains, skewProtectionMaxAge, ...settings } = await readBody(c, UpdateBody);
    const project = await getProject(dock.db, c.req.param("project"));
    const changes = { settings, autoAssignCustomDomains, skewProtectionMaxAge };
    return c.json(projectView(dock, await updateProject(dock, project, changes)));
  });

  app.delete("/projects/:project", async (c) => {
    await deleteProject(dock, await getProject(dock.db, c.req.param("project")));
    return c.body(null, 204);
  });

  app.post("/projects/:project/custom-environments", async (c) => {
    const body = await readBody(c, EnvironmentBody);
    const project = await getProject(dock.db, c.req.param("project"));
    const input = { slug: body.slug, description: body.description ?? null };
    return c.json(environmentView(await createEnvironment(dock, project, input)), 201);
  });

  app.get("/projects/:project/custom-environments", async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    const environments = (await listEnvironments(dock.db, project.id)).map(environmentView);
    return c.json({ environments, accountLimit: { total: 1_000 } });
  });

  app.get("/projects/:project/custom-environments/:environment", async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    return c.json(environmentView(await getEnvironment(dock.db, project, c.req.param("environment"))));
  });

  return app;
}
