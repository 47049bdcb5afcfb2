import { Hono } from "hono";
import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { type Dock, TEAM, USER } from "../dock.ts";
import { getProject } from "../projects/queries.ts";
import {
  createShared,
  deleteShared,
  getShared,
  listShared,
  type SharedVariable,
  updateShared,
} from "../projects/shared-variables.ts";
import { readBody } from "./body.ts";
import { paged } from "./paged.ts";

const TARGETS = ["production", "preview", "development"] as const;
const Targets = z.array(z.enum(TARGETS));
const Type = z.enum(["encrypted", "plain", "sensitive"]);
const Key = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
  .max(256);
const Value = z.string().max(65_536);
const Comment = z.string().max(500).optional();
const Projects = z.array(z.string().max(100)).max(500);
const CreateBody = z.object({
  evs: z
    .array(z.object({ key: Key, value: Value, comment: Comment }))
    .min(1)
    .max(50),
  type: Type.default("encrypted"),
  target: Targets.default([...TARGETS]),
  projectId: Projects.default([]),
});
const Update = z.object({
  key: Key.optional(),
  value: Value.optional(),
  type: Type.optional(),
  target: Targets.optional(),
  projectId: Projects.optional(),
  projectIdUpdates: z.object({ link: Projects.default([]), unlink: Projects.default([]) }).optional(),
  comment: Comment,
});
const UpdateBody = z.object({ updates: z.record(z.string().max(100), Update) });
const DeleteBody = z.object({ ids: z.array(z.string().max(100)).min(1).max(50) });

/** Variables of the team, shared by projects. */
export function sharedVariableRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.post("/env", async (c) => {
    const body = await readBody(c, CreateBody, { maxBytes: 2 ** 23 });
    const shared = { type: body.type, targets: body.target, projectIds: body.projectId };
    const { done, failed } = await each(
      body.evs,
      ({ key }) => key,
      async ({ key, value, comment }) =>
        sharedView(dock, await createShared(dock, { key, value, comment: comment ?? null, ...shared })),
    );
    return c.json({ created: done, failed }, 201);
  });

  app.get("/env", async (c) => {
    const { projectId, search, ids } = c.req.query();
    const project = projectId === undefined ? undefined : (await getProject(dock.db, projectId)).id;
    const rows = (await listShared(dock.db)).filter(
      (row) =>
        (project === undefined || row.project_ids.includes(project)) &&
        (search === undefined || row.key.toLowerCase().includes(search.toLowerCase())) &&
        (ids === undefined || ids.split(",").includes(row.id)),
    );
    const { page, pagination } = paged(c, rows, (row) => row.created_at);
    return c.json({
      data: page.map((row) => ({ ...sharedView(dock, row), securityIssues: [] })),
      pagination,
    });
  });

  app.patch("/env", async (c) => {
    const { updates } = await readBody(c, UpdateBody, { maxBytes: 2 ** 23 });
    const { done, failed } = await each(
      Object.entries(updates),
      ([id]) => id,
      async ([id, update]) => {
        const projectIds = await projectsAfter(dock, id, update);
        const { key, value, type, target, comment } = update;
        const changes = { key, value, type, targets: target, comment, projectIds };
        return sharedView(dock, await updateShared(dock, id, changes));
      },
    );
    return c.json({ updated: done, failed });
  });

  app.delete("/env", async (c) => {
    const { ids } = await readBody(c, DeleteBody);
    const { done, failed } = await each(
      ids,
      (id) => id,
      async (id) => {
        await deleteShared(dock, id);
        return id;
      },
    );
    return c.json({ deleted: done, failed });
  });

  app.get("/env/:id", async (c) => c.json(sharedView(dock, await getShared(dock, c.req.param("id")))));

  app.patch("/env/:id/unlink/:project", async (c) => {
    const row = await getShared(dock, c.req.param("id"));
    const { id } = await getProject(dock.db, c.req.param("project"));
    await updateShared(dock, row.id, { projectIds: row.project_ids.filter((project) => project !== id) });
    return c.json({ id: row.id });
  });

  return app;
}

async function projectsAfter(
  dock: Dock,
  id: string,
  update: z.infer<typeof Update>,
): Promise<string[] | undefined> {
  if (!update.projectIdUpdates) return update.projectId;
  const { link, unlink } = update.projectIdUpdates;
  const before = update.projectId ?? (await getShared(dock, id)).project_ids;
  return [...before.filter((project) => !unlink.includes(project)), ...link];
}

type Failure = { error: { code: string; message: string; envVarKey?: string } };

/** Of several the others are still done; one that is asked for alone fails as a request. */
async function each<T, R>(
  inputs: readonly T[],
  nameOf: (input: T) => string,
  work: (input: T) => Promise<R>,
): Promise<{ done: R[]; failed: Failure[] }> {
  const done: R[] = [];
  const failed: Failure[] = [];
  for (const input of inputs) {
    try {
      done.push(await work(input));
    } catch (error) {
      if (inputs.length === 1 || !(error instanceof AppError)) throw error;
      failed.push({ error: { code: error.code, message: error.message, envVarKey: nameOf(input) } });
    }
  }
  return { done, failed };
}

/** `value` of a sensitive variable is never shown, whoever asks. */
function sharedView(dock: Dock, row: SharedVariable) {
  const isReadable = row.type !== "sensitive";
  return {
    id: row.id,
    key: row.key,
    type: row.type,
    ...(isReadable ? { value: dock.secrets.open(row.sealed, row.id) } : {}),
    decrypted: isReadable,
    target: row.targets,
    projectId: row.project_ids,
    comment: row.comment ?? "",
    ownerId: TEAM.id,
    createdBy: USER.id,
    updatedBy: USER.id,
    created: row.created_at.toISOString(),
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}
