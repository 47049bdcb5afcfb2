import { Hono } from "hono";
import { z } from "zod";
import type { Dock } from "../dock.ts";
import { environmentHost } from "../hosts.ts";
import { createEnvironment, deleteEnvironment, updateEnvironment } from "../projects/custom-environments.ts";
import { listProjectDomains } from "../projects/project-domains.ts";
import {
  type CustomEnvironment,
  getEnvironment,
  getProject,
  listEnvironments,
  listVariables,
  type Project,
} from "../projects/queries.ts";
import { saveVariable } from "../projects/variables.ts";
import { readBody } from "./body.ts";
import { projectDomainView } from "./project-domains.ts";

const BranchMatcher = z.object({
  type: z.enum(["equals", "startsWith", "endsWith"]),
  pattern: z.string().min(1).max(255),
});
const CreateBody = z.object({
  slug: z.string(),
  description: z.string().max(256).nullish(),
  branchMatcher: BranchMatcher.nullish(),
  /** `production`, `preview`, `development`, or another custom environment. */
  copyEnvVarsFrom: z.string().optional(),
});
const UpdateBody = z.object({
  slug: z.string().optional(),
  description: z.string().max(256).optional(),
  branchMatcher: BranchMatcher.nullish(),
});

/** Custom environments of a project. */
export function environmentRoutes(dock: Dock): Hono {
  const app = new Hono();
  const both = async (idOrName: string, slugOrId: string) => {
    const project = await getProject(dock.db, idOrName);
    return { project, environment: await getEnvironment(dock.db, project, slugOrId) };
  };
  const all = "/projects/:project/custom-environments";
  const one = `${all}/:environment` as const;

  app.post(all, async (c) => {
    const body = await readBody(c, CreateBody);
    const project = await getProject(dock.db, c.req.param("project"));
    const made = await createEnvironment(dock, project, {
      slug: body.slug,
      description: body.description ?? null,
      branchMatcher: body.branchMatcher ?? null,
    });
    if (body.copyEnvVarsFrom !== undefined) await copyVariables(dock, project, body.copyEnvVarsFrom, made);
    return c.json(await environmentView(dock, project, made), 201);
  });

  app.get(all, async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    const environments = [];
    for (const row of await listEnvironments(dock.db, project.id))
      environments.push(await environmentView(dock, project, row));
    return c.json({ environments, accountLimit: { total: 1_000 } });
  });

  app.get(one, async (c) => {
    const { project, environment } = await both(c.req.param("project"), c.req.param("environment"));
    return c.json(await environmentView(dock, project, environment));
  });

  app.patch(one, async (c) => {
    const { slug, description, branchMatcher } = await readBody(c, UpdateBody);
    const { project, environment } = await both(c.req.param("project"), c.req.param("environment"));
    const updated = await updateEnvironment(dock, project, environment, {
      ...(slug === undefined ? {} : { slug }),
      ...(description === undefined ? {} : { description }),
      ...(branchMatcher === undefined ? {} : { branchMatcher }),
    });
    return c.json(await environmentView(dock, project, updated));
  });

  app.delete(one, async (c) => {
    const { project, environment } = await both(c.req.param("project"), c.req.param("environment"));
    const view = await environmentView(dock, project, environment);
    await deleteEnvironment(dock, project, environment);
    return c.json(view);
  });

  return app;
}

async function copyVariables(
  dock: Dock,
  project: Project,
  from: string,
  to: CustomEnvironment,
): Promise<void> {
  const source = (await listEnvironments(dock.db, project.id)).find((one) => one.slug === from)?.id ?? from;
  for (const row of await listVariables(dock.db, project.id)) {
    const isMeant = row.targets.includes(source) || row.custom_environment_ids.includes(source);
    if (!isMeant || row.git_branch !== null) continue;
    const input = {
      key: row.key,
      value: dock.secrets.open(row.sealed, row.id),
      type: row.type,
      targets: [],
      customEnvironmentIds: [to.id],
      gitBranch: null,
      comment: row.comment,
    };
    await saveVariable(dock, project, input, true);
  }
}

async function environmentView(dock: Dock, project: Project, row: CustomEnvironment) {
  const domains = (await listProjectDomains(dock, project)).filter(
    (domain) => domain.custom_environment_id === row.id,
  );
  const hosts = [
    environmentHost(project.name, row.slug, dock.domain),
    ...domains.map((domain) => domain.name),
  ];
  return {
    id: row.id,
    slug: row.slug,
    type: "preview",
    description: row.description ?? "",
    ...(row.branch_matcher ? { branchMatcher: row.branch_matcher } : {}),
    domains: domains.map(projectDomainView),
    currentDeploymentAliases: hosts.filter((host) => dock.traffic.state.aliases.has(host)),
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}
