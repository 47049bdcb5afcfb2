import { Hono } from "hono";
import { z } from "zod";
import type { Dock } from "../dock.ts";
import { apexOf } from "../domains/apex.ts";
import {
  addProjectDomain,
  getProjectDomain,
  listProjectDomains,
  moveProjectDomain,
  type ProjectDomainRow,
  removeProjectDomain,
  updateProjectDomain,
} from "../projects/project-domains.ts";
import { getProject } from "../projects/queries.ts";
import { readBody, readQuery } from "./body.ts";
import { paged } from "./paged.ts";

const Fields = z.object({
  gitBranch: z.string().max(255).nullish(),
  customEnvironmentId: z.string().max(100).nullish(),
  redirect: z.string().max(253).nullish(),
  redirectStatusCode: z.union([z.literal(301), z.literal(302), z.literal(307), z.literal(308)]).nullish(),
});
const AddBody = Fields.extend({ name: z.string().min(1).max(253) });
const MoveBody = Fields.extend({ projectId: z.string().max(100) });
const Flag = z.enum(["true", "false"]).optional();
const ListQuery = z.object({
  production: Flag,
  target: z.enum(["production", "preview"]).optional(),
  customEnvironmentId: z.string().optional(),
  gitBranch: z.string().optional(),
  redirects: Flag,
  redirect: z.string().optional(),
  verified: Flag,
  order: z.enum(["ASC", "DESC"]).default("DESC"),
});

/** The hosts of a project. Whoever may call the dock may serve any host of it: every domain counts as verified. */
export function projectDomainRoutes(dock: Dock): Hono {
  const app = new Hono();
  const project = (idOrName: string) => getProject(dock.db, idOrName);
  const all = "/projects/:project/domains";
  const one = `${all}/:domain` as const;

  app.get(all, async (c) => {
    const query = readQuery(c, ListQuery);
    const rows = (await listProjectDomains(dock, await project(c.req.param("project")))).filter((row) =>
      isAskedFor(row, query),
    );
    const sorted = query.order === "ASC" ? rows : rows.reverse();
    const { page, pagination } = paged(c, sorted, (row) => row.created_at, {
      ascending: query.order === "ASC",
    });
    return c.json({ domains: page.map(projectDomainView), pagination });
  });

  app.post(all, async (c) => {
    const { name, ...input } = await readBody(c, AddBody.or(AliasBody));
    const row = await addProjectDomain(dock, await project(c.req.param("project")), name, input);
    return c.json(projectDomainView(row));
  });

  // The official CLI adds domains here, and looks for the one it added in a list.
  app.post("/projects/:project/alias", async (c) => {
    const { name, ...input } = await readBody(c, AliasBody);
    const row = await addProjectDomain(dock, await project(c.req.param("project")), name, input);
    return c.json([{ ...projectDomainView(row), domain: row.name, target: "PRODUCTION" }]);
  });

  app.get(one, async (c) => {
    const row = await getProjectDomain(dock, await project(c.req.param("project")), c.req.param("domain"));
    return c.json(projectDomainView(row));
  });

  app.patch(one, async (c) => {
    const input = await readBody(c, Fields);
    const row = await project(c.req.param("project"));
    return c.json(projectDomainView(await updateProjectDomain(dock, row, c.req.param("domain"), input)));
  });

  app.delete(one, async (c) => {
    await removeProjectDomain(dock, await project(c.req.param("project")), c.req.param("domain"));
    return c.json({});
  });

  app.post(`${one}/verify`, async (c) => {
    const row = await getProjectDomain(dock, await project(c.req.param("project")), c.req.param("domain"));
    return c.json(projectDomainView(row));
  });

  app.post(`${one}/move`, async (c) => {
    const { projectId, ...input } = await readBody(c, MoveBody);
    const to = { project: await project(projectId), input };
    const row = await moveProjectDomain(
      dock,
      await project(c.req.param("project")),
      c.req.param("domain"),
      to,
    );
    return c.json(projectDomainView(row));
  });

  return app;
}

const AliasBody = Fields.extend({ domain: z.string().min(1).max(253) }).transform(({ domain, ...rest }) => ({
  ...rest,
  name: domain,
}));

function isAskedFor(row: ProjectDomainRow, query: z.infer<typeof ListQuery>): boolean {
  const isProduction = row.git_branch === null && row.custom_environment_id === null;
  const target = query.target ?? (query.production === "true" ? "production" : undefined);
  return (
    (target === undefined || (target === "production") === isProduction) &&
    (query.customEnvironmentId === undefined || row.custom_environment_id === query.customEnvironmentId) &&
    (query.gitBranch === undefined || row.git_branch === query.gitBranch) &&
    (query.redirects !== "false" || row.redirect === null) &&
    (query.redirect === undefined || row.redirect === query.redirect) &&
    query.verified !== "false"
  );
}

export function projectDomainView(row: ProjectDomainRow) {
  return {
    name: row.name,
    apexName: apexOf(row.name),
    projectId: row.project_id,
    redirect: row.redirect,
    redirectStatusCode: row.redirect_status,
    gitBranch: row.git_branch,
    customEnvironmentId: row.custom_environment_id,
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
    verified: true,
  };
}
