import { Hono } from "hono";
import { z } from "zod";
import { type CheckRun, runsOf } from "../checks/queries.ts";
import { addRun, getRun, rerequestRun, updateRun } from "../checks/runs.ts";
import { getDeployment } from "../deployments/queries.ts";
import type { Dock } from "../dock.ts";
import { readBody } from "./body.ts";

const Url = z.url({ protocol: /^https?$/ }).max(2_048);
const CreateBody = z.object({
  name: z.string().min(1).max(100),
  path: z.string().max(255).optional(),
  blocking: z.boolean(),
  detailsUrl: Url.optional(),
  externalId: z.string().max(255).optional(),
  rerequestable: z.boolean().default(false),
});
const UpdateBody = z.object({
  name: z.string().min(1).max(100).optional(),
  path: z.string().max(255).optional(),
  status: z.enum(["running", "completed"]).optional(),
  conclusion: z.enum(["canceled", "failed", "neutral", "succeeded", "skipped"]).optional(),
  detailsUrl: Url.optional(),
  externalId: z.string().max(255).optional(),
  output: z.record(z.string(), z.unknown()).optional(),
});

/** Checks of one deployment (version 1). Vercel takes them from integrations only; the dock from any token. */
export function checkRoutes(dock: Dock): Hono {
  const app = new Hono();
  const all = "/deployments/:deployment/checks";
  const one = `${all}/:check` as const;
  const get = (deployment: string, id: string) => getRun(dock, deployment, id, 1);

  app.post(all, async (c) => {
    const body = await readBody(c, CreateBody);
    const run = await addRun(dock, await getDeployment(dock, c.req.param("deployment")), {
      version: 1,
      check_id: null,
      name: body.name,
      path: body.path ?? null,
      requires: "none",
      blocks: body.blocking ? "deployment-alias" : "none",
      targets: [],
      timeout_s: null,
      is_rerequestable: body.rerequestable,
      source: {},
      ...(body.externalId === undefined ? {} : { external_id: body.externalId }),
      ...(body.detailsUrl === undefined ? {} : { url: body.detailsUrl }),
    });
    return c.json(checkView(run));
  });

  app.get(all, async (c) => {
    const { id } = await getDeployment(dock, c.req.param("deployment"));
    const checks = (await runsOf(dock.db, id)).filter((run) => run.version === 1).map(checkView);
    return c.json({ checks });
  });

  app.get(one, async (c) => c.json(checkView(await get(c.req.param("deployment"), c.req.param("check")))));

  app.patch(one, async (c) => {
    const { detailsUrl, ...changes } = await readBody(c, UpdateBody);
    const run = await get(c.req.param("deployment"), c.req.param("check"));
    return c.json(checkView(await updateRun(dock, run, { ...changes, url: detailsUrl })));
  });

  app.post(`${one}/rerequest`, async (c) => {
    await rerequestRun(dock, await get(c.req.param("deployment"), c.req.param("check")));
    return c.json({});
  });

  return app;
}

function checkView(run: CheckRun) {
  return {
    id: run.id,
    deploymentId: run.deployment_id,
    name: run.name,
    ...(run.path === null ? {} : { path: run.path }),
    status: run.status === "queued" ? "registered" : run.status,
    ...(run.conclusion === null ? {} : { conclusion: run.conclusion }),
    blocking: run.blocks !== "none",
    rerequestable: run.is_rerequestable,
    integrationId: "oac_dock",
    ...(run.external_id === null ? {} : { externalId: run.external_id }),
    ...(run.url === null ? {} : { detailsUrl: run.url }),
    ...(run.output === null ? {} : { output: run.output }),
    createdAt: run.created_at.getTime(),
    updatedAt: run.updated_at.getTime(),
    ...(run.started_at === null ? {} : { startedAt: run.started_at.getTime() }),
    ...(run.completed_at === null ? {} : { completedAt: run.completed_at.getTime() }),
  };
}
