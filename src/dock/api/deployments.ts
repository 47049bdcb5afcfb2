import { Hono } from "hono";
import { z } from "zod";
import { builtFiles } from "../deployments/built-files.ts";
import { createDeployment } from "../deployments/create-deployment.ts";
import { deleteDeployment } from "../deployments/delete-deployment.ts";
import { DeploymentRequest } from "../deployments/deployment-request.ts";
import { cancelDeployment } from "../deployments/end-deployment.ts";
import { type DeploymentView, getDeployment, listDeployments } from "../deployments/queries.ts";
import { type Dock, USER } from "../dock.ts";
import { findProject } from "../projects/queries.ts";
import type { DeploymentState } from "../rows.ts";
import { readBody, readQuery } from "./body.ts";
import { deploymentListItem, deploymentView, readyState } from "./views.ts";

/** A tree of 100,000 files is named in about 15 MB. */
const MAX_REQUEST_BYTES = 64 * 2 ** 20;
const Flag = z.enum(["1", "0", "true", "false"]).optional();
const CreateQuery = z.object({ forceNew: Flag, prebuilt: Flag });
const Milliseconds = z.coerce.number().int().nonnegative();
const STATES = ["QUEUED", "BUILDING", "READY", "ERROR", "CANCELED"] as const satisfies DeploymentState[];

const ListQuery = z
  .object({
    projectId: z.string().optional(),
    app: z.string().optional(),
    target: z.string().optional(),
    state: z.string().optional(),
    branch: z.string().optional(),
    sha: z.string().optional(),
    until: Milliseconds.optional(),
    to: Milliseconds.optional(),
    since: Milliseconds.optional(),
    from: Milliseconds.optional(),
    limit: z.coerce.number().int().min(1).max(100).default(20),
    projectIds: z.string().optional(),
    users: z.string().optional(),
    rollbackCandidate: z.enum(["true", "false"]).optional(),
  })
  .catchall(z.string());

export function deploymentRoutes(dock: Dock): Hono {
  const app = new Hono();

  app.post("/deployments", async (c) => {
    const query = readQuery(c, CreateQuery);
    const body = await readBody(c, DeploymentRequest, { maxBytes: MAX_REQUEST_BYTES });
    const created = await createDeployment(dock, body, {
      force: isSet(query.forceNew),
      prebuilt: isSet(query.prebuilt),
    });
    if (created.kind === "created") return c.json(deploymentView(dock, created.deployment));
    const { missing } = created;
    return c.json({ error: { code: "missing_files", message: "Missing files", missing } }, 400);
  });

  app.get("/deployments", async (c) => c.json(await list(dock, readQuery(c, ListQuery))));

  app.get("/deployments/:id", async (c) =>
    c.json(deploymentView(dock, await getDeployment(dock, c.req.param("id")))),
  );

  app.delete("/deployments/:id", async (c) => {
    // With `?url=` the id is not looked at.
    const uid = await deleteDeployment(dock, c.req.query("url") ?? c.req.param("id"));
    return c.json({ uid, state: "DELETED" });
  });

  app.patch("/deployments/:id/cancel", async (c) => {
    await cancelDeployment(dock, c.req.param("id"));
    return c.json(deploymentView(dock, await getDeployment(dock, c.req.param("id"))));
  });

  app.get("/deployments/:id/builds", async (c) => {
    const row = await getDeployment(dock, c.req.param("id"));
    const state = readyState(dock, row);
    const at = (row.ended_at ?? row.building_at ?? row.created_at).getTime();
    const times = { createdAt: row.created_at.getTime(), readyStateAt: at };
    const use = row.settings.framework ?? "dock";
    const build = {
      id: `bld_${row.id.slice(4)}`,
      deploymentId: row.id,
      entrypoint: ".",
      use,
      readyState: state,
    };
    const files = await builtFiles(dock, row);
    const output = files.map((file) => ({ ...file, functionName: null, mode: 0o100644 }));
    return c.json({ builds: [{ ...build, ...times, output }] });
  });

  return app;
}

async function list(dock: Dock, query: z.infer<typeof ListQuery>) {
  const until = query.until ?? query.to;
  const since = query.since ?? query.from;
  const project = query.projectId ? await findProject(dock.db, query.projectId) : undefined;
  // One user makes them all: whoever asks for another one's gets none.
  if (query.users && !query.users.split(",").includes(USER.id)) return page([], query.limit);
  const rows = await listDeployments(dock.db, {
    // An unknown project has no deployments; it must not mean every project.
    projectId: query.projectId ? (project?.id ?? query.projectId) : undefined,
    name: query.app,
    target: query.target,
    states: query.state ? parseStates(query.state) : undefined,
    branch: query.branch,
    sha: query.sha,
    meta: metaFilter(query),
    before: until === undefined ? undefined : new Date(until),
    after: since === undefined ? undefined : new Date(since),
    projectIds: query.projectIds?.split(",").slice(0, 100),
    wasProduction: query.rollbackCandidate === undefined ? undefined : query.rollbackCandidate === "true",
    limit: query.limit + 1,
  });
  const { deployments, pagination } = page(rows, query.limit);
  return { deployments: deployments.map((row) => deploymentListItem(dock, row)), pagination };
}

function page(rows: readonly DeploymentView[], limit: number) {
  const deployments = rows.slice(0, limit);
  const next = rows.length > limit ? (deployments.at(-1)?.created_at.getTime() ?? null) : null;
  return { deployments, pagination: { count: deployments.length, next, prev: null } };
}

function isSet(flag: string | undefined): boolean {
  return flag === "1" || flag === "true";
}

function parseStates(text: string): DeploymentState[] {
  const asked = new Set(text.split(",").map((state) => state.trim().toUpperCase()));
  return STATES.filter((state) => asked.has(state));
}

/** `meta-<key>=<value>`, as the API documents it. */
function metaFilter(query: Record<string, unknown>): Record<string, string> {
  const meta: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) {
    if (name.startsWith("meta-") && typeof value === "string") meta[name.slice(5)] = value;
  }
  return meta;
}
