import { Hono } from "hono";
import { z } from "zod";
import { SettingsSchema } from "../deployments/deployment-request.ts";
import type { Dock } from "../dock.ts";
import { deleteProject, updateProject } from "../projects/change-project.ts";
import { createProject } from "../projects/create-project.ts";
import { linkOf } from "../projects/git-link.ts";
import { ProjectOptionsSchema, splitOptions } from "../projects/project-options.ts";
import { getProject, listProjects } from "../projects/queries.ts";
import { saveVariable } from "../projects/variables.ts";
import { changedPolicy, ExpirationBody, policyInWords, policyOf } from "../releases/expiration.ts";
import { readBody, readQuery } from "./body.ts";
import { toInput, VariablesBody } from "./variables.ts";
import { projectView } from "./views.ts";

const Settable = SettingsSchema.extend(ProjectOptionsSchema.shape);
const CreateBody = Settable.extend({
  name: z.string(),
  gitRepository: z
    .object({ type: z.enum(["github", "gitlab", "bitbucket"]), repo: z.string().max(255) })
    .nullish(),
  environmentVariables: VariablesBody.optional(),
});
const UpdateBody = Settable.extend({
  name: z.string().optional(),
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

export function projectRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.post("/projects", async (c) => {
    const body = await readBody(c, CreateBody);
    const { name, gitRepository, environmentVariables = [], ...more } = body;
    const { options, rest: settings } = splitOptions(more);
    const link = gitRepository ? linkOf(gitRepository, dock.clock) : null;
    const project = await createProject(dock, { name, settings, options, link });
    for (const fields of environmentVariables) await saveVariable(dock, project, toInput(fields), false);
    return c.json(await projectView(dock, project));
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
    const projects = [];
    for (const row of page) projects.push(await projectView(dock, row));
    return c.json({ projects, pagination: { count: page.length, next, prev: null } });
  });

  app.get("/projects/:project", async (c) =>
    c.json(await projectView(dock, await getProject(dock.db, c.req.param("project")))),
  );

  app.patch("/projects/:project", async (c) => {
    const { name, autoAssignCustomDomains, skewProtectionMaxAge, ...more } = await readBody(c, UpdateBody);
    const { options, rest: settings } = splitOptions(more);
    const project = await getProject(dock.db, c.req.param("project"));
    const changes = { name, settings, options, autoAssignCustomDomains, skewProtectionMaxAge };
    return c.json(await projectView(dock, await updateProject(dock, project, changes)));
  });

  app.patch("/projects/:project/deployment-expiration", async (c) => {
    const body = await readBody(c, ExpirationBody);
    const project = await getProject(dock.db, c.req.param("project"));
    const policy = changedPolicy(policyOf(project.options), body);
    await updateProject(dock, project, { settings: {}, options: { deploymentExpiration: policy } });
    return c.json({ deploymentExpiration: { ...policyInWords(policy), ...policy } });
  });

  app.delete("/projects/:project", async (c) => {
    await deleteProject(dock, await getProject(dock.db, c.req.param("project")));
    return c.body(null, 204);
  });

  return app;
}
