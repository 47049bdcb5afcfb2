import { Hono } from "hono";
import { z } from "zod";
import { AppError, messageOf } from "../../foundation/errors.ts";
import { isDue, projectEnv } from "../deployments/variables-of.ts";
import type { Dock } from "../dock.ts";
import { findEnvironment, getProject, listVariables, type Project } from "../projects/queries.ts";
import { sharedOf } from "../projects/shared-variables.ts";
import {
  deleteVariable,
  editVariable,
  getVariable,
  saveVariable,
  type VariableInput,
} from "../projects/variables.ts";
import type { VariableType } from "../rows.ts";
import { readBody } from "./body.ts";
import { variableView } from "./views.ts";

const TARGETS = ["production", "preview", "development"] as const;
const Target = z.enum(TARGETS);
const Fields = z.object({
  key: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be a letter or underscore, then letters, digits and underscores")
    .max(256),
  value: z.string().max(65_536),
  // `config` and `secret` are how the CLI names readable and write-only ones.
  type: z.enum(["system", "encrypted", "plain", "sensitive", "secret", "config"]).default("encrypted"),
  target: z.union([z.array(Target), Target.transform((one) => [one])]).optional(),
  customEnvironmentIds: z.array(z.string()).default([]),
  gitBranch: z.string().max(255).nullish(),
  comment: z.string().max(500).nullish(),
});
export const VariablesBody = z.array(Fields).max(500);
const CreateBody = z.union([z.array(Fields).min(1).max(500), Fields.transform((one) => [one])]);
const EditBody = Fields.partial().extend({
  type: Fields.shape.type.removeDefault().optional(),
  customEnvironmentIds: z.array(z.string()).optional(),
});

function storedType(type: z.infer<typeof Fields>["type"]): VariableType {
  if (type === "secret") return "sensitive";
  return type === "config" ? "plain" : type;
}

export function toInput(fields: z.infer<typeof Fields>): VariableInput {
  const everywhere = fields.customEnvironmentIds.length > 0 ? [] : TARGETS;
  return {
    key: fields.key,
    value: fields.value,
    type: storedType(fields.type),
    targets: fields.target ?? everywhere,
    customEnvironmentIds: fields.customEnvironmentIds,
    gitBranch: fields.gitBranch ?? null,
    comment: fields.comment ?? null,
  };
}

export function variableRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.get("/projects/:project/env", async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    const { target, customEnvironmentId, gitBranch } = c.req.query();
    const asked = customEnvironmentId ? await pullTarget(dock, project, customEnvironmentId) : target;
    const rows = (await listVariables(dock.db, project.id)).filter(
      (row) =>
        (!asked || row.targets.includes(asked) || row.custom_environment_ids.includes(asked)) &&
        (!gitBranch || row.git_branch === null || row.git_branch === gitBranch),
    );
    const envs = rows.map((row) => variableView(dock, row));
    return c.json({ envs, pagination: { count: envs.length, next: null, prev: null } });
  });

  app.post("/projects/:project/env", async (c) => {
    const body = await readBody(c, CreateBody, { maxBytes: 2 ** 24 });
    const project = await getProject(dock.db, c.req.param("project"));
    const upsert = c.req.query("upsert") === "true";
    const created: ReturnType<typeof variableView>[] = [];
    const failed: { error: { code: string; message: string; key: string } }[] = [];
    for (const fields of body) {
      try {
        created.push(variableView(dock, await saveVariable(dock, project, toInput(fields), upsert)));
      } catch (error) {
        // One that is asked for alone fails as a request; of several, the others are still stored.
        if (body.length === 1 || !(error instanceof AppError)) throw error;
        failed.push({ error: { code: error.code, message: messageOf(error), key: fields.key } });
      }
    }
    return c.json({ created: created.length === 1 ? created[0] : created, failed }, 201);
  });

  app.get("/projects/:project/env/:id", async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    return c.json(variableView(dock, await getVariable(dock, project, c.req.param("id"))));
  });

  app.patch("/projects/:project/env/:id", async (c) => {
    const body = await readBody(c, EditBody);
    const project = await getProject(dock.db, c.req.param("project"));
    return c.json(variableView(dock, await editVariable(dock, project, c.req.param("id"), toChanges(body))));
  });

  app.delete("/projects/:project/env/:id", async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    return c.json(variableView(dock, await deleteVariable(dock, project, c.req.param("id"))));
  });

  app.delete("/projects/:project/env", async (c) => {
    const { ids } = await readBody(c, z.object({ ids: z.array(z.string().max(100)).min(1).max(1_000) }));
    const project = await getProject(dock.db, c.req.param("project"));
    // All are looked for first: one that is not there must not leave half of them removed.
    for (const id of ids) await getVariable(dock, project, id);
    for (const id of ids) await deleteVariable(dock, project, id);
    return c.json({ deleted: ids.length, ids });
  });

  app.route("/", pullRoutes(dock));
  return app;
}

/** The variables of a target, as a file of them is made. */
function pullRoutes(dock: Dock): Hono {
  const app = new Hono();
  // The CLI names the branch in the path, and escapes it or not.
  app.get("/env/pull/:project/:target/:branch{.+}?", async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    const target = await pullTarget(dock, project, c.req.param("target"));
    const branch = c.req.param("branch") ?? c.req.query("gitBranch") ?? null;
    const env = await projectEnv(dock, { projectId: project.id, target, branch });
    const own = (await listVariables(dock.db, project.id)).filter((row) => isDue(row, { target, branch }));
    const shared = await sharedOf(dock.db, project.id, target);
    // A project's own variable hides a shared one of the same name.
    const pulled = [...shared.filter((row) => !own.some((one) => one.key === row.key)), ...own];
    for (const row of pulled) if (row.type === "sensitive") env[row.key] = "[SENSITIVE]";
    return c.json({ env, buildEnv: {} });
  });
  return app;
}

function toChanges(body: z.infer<typeof EditBody>): Partial<VariableInput> {
  return {
    ...(body.key === undefined ? {} : { key: body.key }),
    ...(body.value === undefined ? {} : { value: body.value }),
    ...(body.type === undefined ? {} : { type: storedType(body.type) }),
    ...(body.target === undefined ? {} : { targets: body.target }),
    ...(body.customEnvironmentIds === undefined ? {} : { customEnvironmentIds: body.customEnvironmentIds }),
    ...(body.gitBranch === undefined ? {} : { gitBranch: body.gitBranch }),
    ...(body.comment === undefined ? {} : { comment: body.comment }),
  };
}

async function pullTarget(dock: Dock, project: Project, target: string): Promise<string> {
  if (TARGETS.some((one) => one === target)) return target;
  return (await findEnvironment(dock.db, project.id, target))?.id ?? target;
}
