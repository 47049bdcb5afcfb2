import { Hono } from "hono";
import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { type Dock, USER } from "../dock.ts";
import { setPaused } from "../projects/change-project.ts";
import { linkOf, setLink } from "../projects/git-link.ts";
import { bypassSecrets, changeBypass } from "../projects/protection-bypass.ts";
import { getProject } from "../projects/queries.ts";
import { readBody } from "./body.ts";

const Secret = z.string().regex(/^[A-Za-z0-9]{32}$/, "must be 32 letters and digits");
const Note = z.string().max(100).optional();
const BypassBody = z.object({
  revoke: z.object({ secret: z.string().max(256), regenerate: z.boolean() }).optional(),
  generate: z.object({ secret: Secret.optional(), note: Note }).optional(),
  update: z.object({ secret: z.string().max(256), isEnvVar: z.boolean().optional(), note: Note }).optional(),
});
const LinkBody = z.object({
  type: z.enum(["github", "gitlab", "bitbucket"]),
  repo: z.string().min(3).max(255),
  productionBranch: z.string().max(255).optional(),
});

/** What stands before a project's hosts, who its people are, and which repository it belongs to. */
export function protectionRoutes(dock: Dock): Hono {
  const app = new Hono();
  const project = (idOrName: string) => getProject(dock.db, idOrName);

  app.post("/projects/:project/pause", async (c) => {
    await setPaused(dock, await project(c.req.param("project")), true);
    return c.json({});
  });

  app.post("/projects/:project/unpause", async (c) => {
    await setPaused(dock, await project(c.req.param("project")), false);
    return c.json({});
  });

  app.patch("/projects/:project/protection-bypass", async (c) => {
    const body = await readBody(c, BypassBody);
    const row = await project(c.req.param("project"));
    // An empty body generates one, as the official CLI expects.
    const isEmpty = !body.revoke && !body.generate && !body.update;
    await changeBypass(dock, row, isEmpty ? { generate: {} } : body);
    return c.json({ protectionBypass: await bypassView(dock, row.id) });
  });

  app.post("/projects/:project/link", async (c) => {
    const link = linkOf(await readBody(c, LinkBody), dock.clock);
    await setLink(dock, await project(c.req.param("project")), link);
    return c.json({ link });
  });

  app.delete("/projects/:project/link", async (c) => {
    await setLink(dock, await project(c.req.param("project")), null);
    return c.json({});
  });

  app.get("/projects/:project/members", async (c) => {
    const row = await project(c.req.param("project"));
    const member = {
      uid: USER.id,
      username: USER.username,
      email: USER.email,
      name: USER.name,
      role: "ADMIN",
      computedProjectRole: "ADMIN",
      teamRole: "OWNER",
      createdAt: row.created_at.getTime(),
    };
    return c.json({ members: [member], pagination: { count: 1, hasNext: false, next: null, prev: null } });
  });

  for (const method of ["POST", "DELETE"] as const) {
    app.on(method, ["/projects/:project/members", "/projects/:project/members/:uid"], () => {
      throw new AppError("forbidden", "The dock has one user, who may do everything.");
    });
  }

  return app;
}

/** By secret, as Vercel has it. */
export async function bypassView(dock: Dock, projectId: string) {
  const secrets = await bypassSecrets(dock, projectId);
  return Object.fromEntries(
    secrets.map(({ secret, note, isEnvVar, createdAt }) => [
      secret,
      {
        scope: "automation-bypass",
        createdAt: createdAt.getTime(),
        createdBy: USER.id,
        isEnvVar,
        ...(note === null ? {} : { note }),
      },
    ]),
  );
}
