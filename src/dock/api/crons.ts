import { Hono } from "hono";
import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { cronsOf, fireCron } from "../crons/fire.ts";
import type { Dock } from "../dock.ts";
import { getProject } from "../projects/queries.ts";
import { settingsOf } from "../traffic/snapshot.ts";
import { readBody } from "./body.ts";
import { projectView } from "./views.ts";

const SwitchBody = z.object({ enabled: z.boolean() });
const RunBody = z.object({ path: z.string().max(2_048), schedule: z.string().max(256).optional() });

/** Cron jobs: switched on and off for a project, and run by hand. What they are is part of what was deployed. */
export function cronRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.patch("/projects/:project/crons", async (c) => {
    const { enabled } = await readBody(c, SwitchBody);
    const project = await getProject(dock.db, c.req.param("project"));
    const now = dock.clock.now();
    await dock.db
      .updateTable("projects")
      .set({ crons_disabled_at: enabled ? null : now, crons_updated_at: now })
      .where("id", "=", project.id)
      .execute();
    return c.json(await projectView(dock, await getProject(dock.db, project.id)));
  });

  app.post("/projects/:project/crons/run", async (c) => {
    const { path, schedule } = await readBody(c, RunBody);
    const project = await getProject(dock.db, c.req.param("project"));
    const crons = cronsOf(dock, project.id);
    const cron = crons?.definitions.find(
      (one) => one.path === path && (schedule === undefined || one.schedule === schedule),
    );
    if (!crons || !cron) {
      throw new AppError(
        "not_found",
        `The project "${project.name}" has no cron job ${path.slice(0, 200)}.`,
        {
          hint: "Jobs come from the deployment that serves production.",
        },
      );
    }
    if (settingsOf(dock.traffic.state, project.id).paused) {
      throw new AppError("conflict", `The project "${project.name}" is paused.`, {
        hint: "Unpause it first.",
      });
    }
    const invocationAt = dock.clock.now().getTime();
    // The caller is told that it began, as by Vercel; its result is in the runtime log.
    void fireCron(
      dock,
      { host: crons.host, deploymentId: crons.deploymentId, cron },
      new AbortController().signal,
    );
    return c.json({ invocationAt });
  });

  return app;
}
