import { Hono } from "hono";
import { z } from "zod";
import type { Dock } from "../dock.ts";
import { holdHosts, holdsOf, MAX_HOLD_MS, MAX_HOLD_REQUESTS, releaseHosts } from "../pointers/hold.ts";
import { setDrain } from "../projects/change-project.ts";
import { getProject } from "../projects/queries.ts";
import { readBody } from "./body.ts";

const Which = z.object({
  /** `production`, `preview`, or the slug of a custom environment. */
  environment: z.string().optional(),
  hosts: z.array(z.string()).min(1).max(100).optional(),
});
const HoldBody = Which.extend({
  maxMs: z.number().int().min(1).max(MAX_HOLD_MS).default(30_000),
  maxRequests: z.number().int().min(1).max(MAX_HOLD_REQUESTS).default(1_000),
});
const DrainBody = z.object({ drainMs: z.number().int().min(0).max(86_400_000) });

/** What Vercel's API has no word for. A client finds out by the 404 that Vercel answers. */
export function trafficRoutes(dock: Dock): Hono {
  const app = new Hono();
  const project = (idOrName: string) => getProject(dock.db, idOrName);

  app.post("/projects/:project/hold", async (c) => {
    const { maxMs, maxRequests, ...which } = await readBody(c, HoldBody);
    const row = await project(c.req.param("project"));
    return c.json(await holdHosts(dock, row, which, { maxMs, maxRequests }));
  });

  app.get("/projects/:project/hold", async (c) =>
    c.json(await holdsOf(dock, await project(c.req.param("project")))),
  );

  app.post("/projects/:project/unhold", async (c) => {
    const which = await readBody(c, Which);
    return c.json({ hosts: await releaseHosts(dock, await project(c.req.param("project")), which) });
  });

  app.put("/projects/:project/drain", async (c) => {
    const { drainMs } = await readBody(c, DrainBody);
    await setDrain(dock, await project(c.req.param("project")), drainMs);
    return c.json({ drainMs });
  });

  return app;
}
