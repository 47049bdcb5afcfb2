import { Hono } from "hono";
import { z } from "zod";
import {
  createProjectCheck,
  deleteProjectCheck,
  getProjectCheck,
  updateProjectCheck,
} from "../checks/project-checks.ts";
import { type CheckRun, listProjectChecks, type ProjectCheck, runsOf } from "../checks/queries.ts";
import { createRun, getRun, updateRun } from "../checks/runs.ts";
import { getDeployment } from "../deployments/queries.ts";
import { type Dock, TEAM } from "../dock.ts";
import { getProject } from "../projects/queries.ts";
import { readBody } from "./body.ts";

const BLOCKS = [
  "build-start",
  "deployment-start",
  "deployment-alias",
  "deployment-promotion",
  "none",
] as const;
const CheckBody = z.object({
  name: z.string().min(1).max(100),
  requires: z.enum(["build-ready", "deployment-url", "none"]),
  blocks: z.enum(BLOCKS),
  targets: z.array(z.string().max(64)).max(20),
  /** Seconds from the end of the build on. */
  timeout: z.number().int().min(1).max(86_400),
  isRerequestable: z.boolean(),
  source: z.record(z.string().max(64), z.unknown()),
});
const CreateBody = CheckBody.partial().required({ name: true });
const RunBody = z.object({
  status: z.enum(["queued", "running", "completed"]).optional(),
  conclusion: z.enum(["canceled", "skipped", "timeout", "failed", "neutral", "succeeded"]).optional(),
  conclusionText: z.string().max(1_024).optional(),
  externalId: z.string().max(255).optional(),
  externalUrl: z
    .url({ protocol: /^https?$/ })
    .max(2_048)
    .optional(),
  output: z.record(z.string(), z.unknown()).optional(),
  completedAt: z.number().nonnegative().optional(),
});

/** Checks of a project and their runs at deployments (version 2). */
export function checksV2Routes(dock: Dock): Hono {
  const app = new Hono();
  app.route("/", projectCheckRoutes(dock));
  app.route("/", runRoutes(dock));
  return app;
}

function projectCheckRoutes(dock: Dock): Hono {
  const app = new Hono();
  const project = (idOrName: string) => getProject(dock.db, idOrName);
  const all = "/projects/:project/checks";
  const one = `${all}/:check` as const;

  app.post(all, async (c) => {
    const { timeout, ...body } = await readBody(c, CreateBody);
    const check = await createProjectCheck(dock, await project(c.req.param("project")), {
      name: body.name,
      requires: body.requires ?? "deployment-url",
      blocks: body.blocks ?? "deployment-alias",
      targets: body.targets ?? ["production"],
      timeoutS: timeout ?? 300,
      isRerequestable: body.isRerequestable ?? false,
      source: body.source ?? { kind: "webhook" },
    });
    return c.json(projectCheckView(check));
  });

  app.get(all, async (c) => {
    const { id } = await project(c.req.param("project"));
    const blocks = c.req.query("blocks");
    const rows = (await listProjectChecks(dock.db, id)).filter((row) => !blocks || row.blocks === blocks);
    return c.json({ checks: rows.map(projectCheckView) });
  });

  app.get(one, async (c) => {
    const row = await project(c.req.param("project"));
    return c.json(projectCheckView(await getProjectCheck(dock, row, c.req.param("check"))));
  });

  app.patch(one, async (c) => {
    const { timeout, ...changes } = await readBody(c, CheckBody.partial());
    const row = await project(c.req.param("project"));
    const check = await updateProjectCheck(dock, row, c.req.param("check"), {
      ...withoutUndefined(changes),
      ...(timeout === undefined ? {} : { timeoutS: timeout }),
    });
    return c.json(projectCheckView(check));
  });

  app.delete(one, async (c) => {
    await deleteProjectCheck(dock, await project(c.req.param("project")), c.req.param("check"));
    return c.json({ success: true });
  });

  app.get(`${one}/runs`, async (c) => {
    const row = await project(c.req.param("project"));
    const { id } = await getProjectCheck(dock, row, c.req.param("check"));
    const runs = await dock.db
      .selectFrom("check_runs")
      .selectAll()
      .where("check_id", "=", id)
      .orderBy("serial", "desc")
      .limit(100)
      .execute();
    return c.json({ runs: runs.map(runView) });
  });

  return app;
}

function runRoutes(dock: Dock): Hono {
  const app = new Hono();
  const all = "/deployments/:deployment/check-runs";
  const one = `${all}/:run` as const;
  const get = (deployment: string, id: string) => getRun(dock, deployment, id, 2);

  app.post(all, async (c) => {
    const { checkId } = await readBody(c, z.object({ checkId: z.string().max(100) }));
    return c.json(runView(await createRun(dock, c.req.param("deployment"), checkId)));
  });

  app.get(all, async (c) => {
    const { id } = await getDeployment(dock, c.req.param("deployment"));
    const runs = (await runsOf(dock.db, id)).filter((run) => run.version === 2);
    return c.json({ runs: runs.map(runView) });
  });

  app.get(one, async (c) => c.json(runView(await get(c.req.param("deployment"), c.req.param("run")))));

  app.patch(one, async (c) => {
    const { externalUrl, ...changes } = await readBody(c, RunBody);
    const run = await get(c.req.param("deployment"), c.req.param("run"));
    return c.json(runView(await updateRun(dock, run, { ...changes, url: externalUrl })));
  });

  return app;
}

function withoutUndefined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as { [K in keyof T]: Exclude<T[K], undefined> };
}

function projectCheckView(row: ProjectCheck) {
  const { kind } = row.source;
  return {
    id: row.id,
    name: row.name,
    ownerId: TEAM.id,
    projectId: row.project_id,
    requires: row.requires,
    blocks: row.blocks,
    targets: row.targets,
    timeout: row.timeout_s,
    isRerequestable: row.is_rerequestable,
    source: row.source,
    sourceKind: kind === "git-provider" || kind === "integration" ? kind : "webhook",
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}

function runView(run: CheckRun) {
  return {
    id: run.id,
    name: run.name,
    ...(run.check_id === null ? {} : { checkId: run.check_id }),
    deploymentId: run.deployment_id,
    projectId: run.project_id,
    ownerId: TEAM.id,
    status: run.status,
    ...(run.conclusion === null ? {} : { conclusion: run.conclusion }),
    ...(run.conclusion_text === null ? {} : { conclusionText: run.conclusion_text }),
    requires: run.requires,
    blocks: run.blocks,
    targets: run.targets,
    timeout: run.timeout_s ?? 0,
    source: run.source,
    ...(run.external_id === null ? {} : { externalId: run.external_id }),
    ...(run.url === null ? {} : { externalUrl: run.url }),
    ...(run.output === null ? {} : { output: run.output }),
    createdAt: run.created_at.getTime(),
    updatedAt: run.updated_at.getTime(),
    ...(run.completed_at === null ? {} : { completedAt: run.completed_at.getTime() }),
  };
}
