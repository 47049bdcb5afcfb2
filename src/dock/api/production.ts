import { Hono } from "hono";
import { z } from "zod";
import type { Dock } from "../dock.ts";
import { promote } from "../pointers/promote.ts";
import { describeRollback, rollback } from "../pointers/rollback.ts";
import {
  approveStage,
  completeRollingRelease,
  latestRollingRelease,
  startRollingRelease,
} from "../pointers/rolling-release.ts";
import { configureRollingRelease } from "../projects/change-project.ts";
import { getProject, type Project } from "../projects/queries.ts";
import { readBody } from "./body.ts";
import { rollingConfigView, rollingReleaseView } from "./views.ts";

const Percent = z.number().int().min(0).max(100);
const ConfigBody = z.object({
  enabled: z.boolean().default(true),
  advancementType: z.enum(["manual-approval", "automatic"]).default("manual-approval"),
  stages: z
    .array(
      z.object({
        targetPercentage: Percent,
        duration: z.number().nonnegative().nullish(),
        requireApproval: z.boolean().optional(),
      }),
    )
    .max(10)
    .default([]),
});
const MOST_DESCRIPTION = 1_024;
const DescriptionBody = z.object({ description: z.string().max(MOST_DESCRIPTION).default("") });
const Canary = z.object({ canaryDeploymentId: z.string() });
// The SDK sends only the next stage, the CLI both.
const Approve = Canary.extend({
  activeStageIndex: z.number().int().optional(),
  nextStageIndex: z.number().int(),
});

/** Who serves production: promote, rollback and rolling releases. */
export function productionRoutes(dock: Dock): Hono {
  const app = new Hono();
  const project = (idOrName: string) => getProject(dock.db, idOrName);

  app.post("/projects/:project/promote/:deployment", async (c) => {
    const done = await promote(dock, await project(c.req.param("project")), c.req.param("deployment"));
    return c.body(null, done === "queued" ? 202 : 201);
  });

  app.post("/projects/:project/rollback/:deployment", async (c) => {
    const description = c.req.query("description")?.slice(0, MOST_DESCRIPTION);
    await rollback(dock, await project(c.req.param("project")), c.req.param("deployment"), description);
    return c.body(null, 201);
  });

  app.patch("/projects/:project/rollback/:deployment/update-description", async (c) => {
    const { description } = await readBody(c, DescriptionBody);
    const row = await project(c.req.param("project"));
    await describeRollback(dock, row, c.req.param("deployment"), description);
    return c.json({});
  });

  app.get("/projects/:project/promote/aliases", async (c) =>
    c.json(requestAliases(dock, await project(c.req.param("project")), c.req.query("failedOnly") === "true")),
  );
  app.get("/projects/:project/rollback/aliases", async (c) =>
    c.json(requestAliases(dock, await project(c.req.param("project")), c.req.query("failedOnly") === "true")),
  );

  app.route("/", rollingReleaseRoutes(dock));
  return app;
}

function rollingReleaseRoutes(dock: Dock): Hono {
  const app = new Hono();
  const project = (idOrName: string) => getProject(dock.db, idOrName);
  const rolling = async (idOrName: string) => {
    const row = await project(idOrName);
    const latest = await latestRollingRelease(dock, row.id);
    return { rollingRelease: latest ? rollingReleaseView(dock, latest, row.queued_promotion) : null };
  };

  app.get("/projects/:project/rolling-release", async (c) => c.json(await rolling(c.req.param("project"))));

  app.get("/projects/:project/rolling-release/config", async (c) =>
    c.json({ rollingRelease: rollingConfigView(await project(c.req.param("project"))) }),
  );

  app.get("/projects/:project/rolling-release/billing", async (c) => {
    await project(c.req.param("project"));
    const message = "Every project of a dock may have rolling releases.";
    return c.json({ reason: "unlimited_slots", availableSlots: "unlimited", message });
  });

  app.patch("/projects/:project/rolling-release/config", async (c) => {
    // The SDK sends no body at all: nothing changes then.
    const body = await readBody(c, z.union([z.strictObject({}), ConfigBody]));
    const row = await project(c.req.param("project"));
    if (!("stages" in body)) return c.json({ rollingRelease: rollingConfigView(row) });
    const stages = body.stages.map((stage, index) => ({
      targetPercentage: stage.targetPercentage,
      requireApproval:
        stage.requireApproval ?? (body.advancementType !== "automatic" && index < body.stages.length - 1),
      duration: stage.duration ?? null,
    }));
    const { enabled, advancementType } = body;
    await configureRollingRelease(dock, row, enabled ? { enabled, advancementType, stages } : null);
    return c.json({ rollingRelease: rollingConfigView(await project(row.id)) });
  });

  app.delete("/projects/:project/rolling-release/config", async (c) => {
    await configureRollingRelease(dock, await project(c.req.param("project")), null);
    return c.json({ rollingRelease: null });
  });

  app.post("/projects/:project/rolling-release/start", async (c) => {
    const body = await readBody(c, Canary);
    await startRollingRelease(dock, await project(c.req.param("project")), body.canaryDeploymentId);
    return c.json(await rolling(c.req.param("project")));
  });

  app.post("/projects/:project/rolling-release/approve-stage", async (c) => {
    const body = await readBody(c, Approve);
    const activeStageIndex = body.activeStageIndex ?? body.nextStageIndex - 1;
    await approveStage(dock, await project(c.req.param("project")), { ...body, activeStageIndex });
    return c.json(await rolling(c.req.param("project")));
  });

  app.post("/projects/:project/rolling-release/complete", async (c) => {
    const body = await readBody(c, Canary);
    await completeRollingRelease(dock, await project(c.req.param("project")), body.canaryDeploymentId);
    return c.json(await rolling(c.req.param("project")));
  });

  return app;
}

/** The hosts of the last promote or rollback. They move in one transaction: there is never a failed one among them. */
function requestAliases(dock: Dock, project: Project, failedOnly: boolean) {
  const request = project.last_alias_request;
  const done = request !== null && request.generation <= dock.publisher.acknowledged();
  const hosts = [...dock.traffic.state.aliases].filter(
    ([, alias]) => alias.kind === "production" && alias.projectId === project.id,
  );
  const aliases = failedOnly
    ? []
    : hosts.map(([alias]) => ({ alias, id: alias, status: done ? "completed" : "in-progress" }));
  return { aliases, pagination: { count: aliases.length, next: null, prev: null } };
}
