import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ActorEnv } from "../access/index.ts";
import { createRouter } from "../foundation/http.ts";
import { type CreateProjectDeps, createProject } from "./create-project.ts";
import { getProject, listProjects, type Project } from "./queries.ts";

const ProjectBody = z
  .object({ id: z.string(), name: z.string(), createdAt: z.iso.datetime() })
  .openapi("Project");
const One = z.object({ project: ProjectBody });
const Many = z.object({ projects: z.array(ProjectBody) });

const json = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

const create = createRoute({
  method: "post",
  path: "/projects",
  summary: "Make a project, or find the one of that name",
  request: {
    body: { required: true, ...json(z.object({ name: z.string() }), "The name: a lower-case DNS label") },
  },
  responses: { 201: json(One, "Made"), 200: json(One, "It was there already") },
});

const list = createRoute({
  method: "get",
  path: "/projects",
  summary: "All projects, by name",
  responses: { 200: json(Many, "All projects") },
});

const get = createRoute({
  method: "get",
  path: "/projects/{name}",
  summary: "One project",
  request: { params: z.object({ name: z.string() }) },
  responses: { 200: json(One, "The project") },
});

/** `/projects…`; mount under `/api`, behind `authenticate`. */
export function projectRoutes(deps: CreateProjectDeps): OpenAPIHono<ActorEnv> {
  const router = createRouter<ActorEnv>();
  router.openapi(create, async (c) => {
    const { project, created } = await createProject(deps, c.get("actor"), c.req.valid("json"));
    return c.json({ project: toBody(project) }, created ? 201 : 200);
  });
  router.openapi(list, async (c) => c.json({ projects: (await listProjects(deps.db)).map(toBody) }, 200));
  router.openapi(get, async (c) => {
    const project = await getProject(deps.db, c.req.valid("param").name);
    return c.json({ project: toBody(project) }, 200);
  });
  return router;
}

function toBody(project: Project): z.infer<typeof ProjectBody> {
  return { id: project.id, name: project.name, createdAt: project.createdAt.toISOString() };
}
