import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";
import { type ServerType, serve } from "@hono/node-server";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";

/** One step of a deployment's course: fields that change, and log lines that come with it. */
export type CourseStep = {
  readonly state: string;
  readonly weight?: number;
  readonly reason?: string;
  readonly hint?: string;
  readonly log?: readonly string[];
  /** Whose the log lines are. */
  readonly service?: string;
  /** More of what changes. */
  readonly fields?: Record<string, unknown>;
  /** The step is told only when this resolves. */
  readonly after?: Promise<void>;
};

type Row = Record<string, unknown> & { id: string; state: string; phases: Phase[] };
type Phase = { state: string; at: string; durationMs: number | null };
type Log = { seq: number; at: string; stream: string; service?: string; text: string };

/** A real HTTP server that speaks the control plane's API and lets a test choose what goes wrong. */
export type ControlDouble = {
  readonly url: string;
  readonly files: Map<string, Buffer>;
  readonly trees: {
    project: string;
    files: { path: string; sha1: string; mode: number }[];
    config?: string;
  }[];
  readonly triggers: { body: Record<string, unknown>; key: string }[];
  readonly projects: Set<string>;
  readonly seen: { method: string; path: string; lastEventId: string | null }[];
  readonly deployments: Row[];
  course: CourseStep[];
  /** How many of the next requests of a kind are answered with 503, or cut off before the answer. */
  faults: { uploads: number; triggerAnswersLost: number; streamCutAfterEvents: number; streams: boolean };
  /** Answers of a method and path that are set by the test: `[status, body]`. */
  readonly fixed: Map<string, [number, unknown]>;
  close(): Promise<void>;
};

const AT = "2026-01-01T00:00:00.000Z";
export const TOKEN = "sbx_test";

export async function startControlDouble(): Promise<ControlDouble> {
  const app = new Hono();
  const server = await new Promise<ServerType>((resolve) => {
    const started: ServerType = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () =>
      resolve(started),
    );
  });
  const double: ControlDouble = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files: new Map(),
    trees: [],
    triggers: [],
    projects: new Set(),
    seen: [],
    deployments: [],
    course: [
      { state: "building", log: ["installing", "compiling"] },
      { state: "verifying" },
      { state: "live" },
    ],
    faults: {
      uploads: 0,
      triggerAnswersLost: 0,
      streamCutAfterEvents: Number.POSITIVE_INFINITY,
      streams: true,
    },
    fixed: new Map(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
  addGuards(app, double);
  addSources(app, double);
  addDeployments(app, double);
  return double;
}

function addGuards(app: Hono, double: ControlDouble): void {
  app.use(async (c, next) => {
    const { method, path } = c.req;
    double.seen.push({ method, path, lastEventId: c.req.header("last-event-id") ?? null });
    const fixed = double.fixed.get(`${method} ${path}`);
    if (fixed) return Response.json(fixed[1], { status: fixed[0] });
    const open = path.startsWith("/api/health");
    if (!open && c.req.header("authorization") !== `Bearer ${TOKEN}`) {
      return c.json(
        { error: { code: "unauthorized", message: "No valid token was sent.", requestId: "req_1" } },
        401,
      );
    }
    return next();
  });
  app.get("/api/health/live", (c) => c.json({ status: "ok" }));
  app.get("/api/checks/coverage", (c) => c.json({ checks: 1, known: 1, problems: [] }));
  app.get("/api/health/ready", (c) =>
    c.json({
      status: "ready",
      checks: { database: { ok: true, latencyMs: 1 }, dock: { ok: true, latencyMs: 1 } },
    }),
  );
}

function addSources(app: Hono, double: ControlDouble): void {
  app.post("/api/projects", async (c) => {
    const { name } = await c.req.json();
    const known = double.projects.has(name);
    double.projects.add(name);
    return c.json({ project: { id: `prj_${name}`, name, createdAt: AT } }, known ? 200 : 201);
  });
  app.post("/api/sources/trees", async (c) => {
    const tree = (await c.req.json()) as ControlDouble["trees"][number];
    double.trees.push(tree);
    const wanted = new Set(tree.files.map((file) => file.sha1));
    const id = createHash("sha256").update(JSON.stringify(tree.files)).digest("hex");
    return c.json({ tree: id, missing: [...wanted].filter((sha1) => !double.files.has(sha1)) });
  });
  app.put("/api/sources/files/:sha1", async (c) => {
    const body = Buffer.from(await c.req.arrayBuffer());
    if (double.faults.uploads-- > 0) return c.json({ error: { code: "unavailable", message: "busy" } }, 503);
    const sha1 = createHash("sha1").update(body).digest("hex");
    const length = Number(c.req.header("content-length"));
    if (sha1 !== c.req.param("sha1") || length !== body.length) {
      return c.json({ error: { code: "bad_request", message: "The content has another digest." } }, 400);
    }
    double.files.set(sha1, body);
    return c.body(null, 204);
  });
}

function addDeployments(app: Hono, double: ControlDouble): void {
  app.post("/api/deploy/trigger", async (c) => {
    const key = c.req.header("idempotency-key") ?? "";
    const body = await c.req.json();
    const known = double.triggers.findIndex((trigger) => trigger.key === key);
    if (known === -1) {
      double.triggers.push({ key, body });
      double.deployments.push(newDeployment(`dep_${double.triggers.length}`, body));
    }
    if (double.faults.triggerAnswersLost-- > 0) {
      const { outgoing } = c.env as { outgoing: { destroy(): void } };
      outgoing.destroy();
    }
    const row = double.deployments[known === -1 ? double.deployments.length - 1 : known];
    const { project, environment } = body;
    const statusUrl = `${double.url}/api/deploy/status/${row?.id}`;
    return c.json({ deploymentId: row?.id, project, environment, state: "queued", statusUrl }, 202);
  });
  app.get("/api/deploy/list", (c) => {
    const { project, environment, state, limit } = c.req.query();
    const found = double.deployments.filter(
      (row) =>
        (!project || row.project === project) &&
        (!environment || row.environment === environment) &&
        (!state || row.state === state),
    );
    return c.json({ deployments: found.toReversed().slice(0, Number(limit ?? 50)) });
  });
  app.post("/api/deploy/cancel/:id", (c) => {
    const row = double.deployments.find(({ id }) => id === c.req.param("id"));
    if (!row) return notFound();
    move(row, { state: "canceled" });
    return c.json({ deployment: row });
  });
  addStatus(app, double);
}

function addStatus(app: Hono, double: ControlDouble): void {
  const positions = new Map<string, { step: number; logs: Log[] }>();
  const positionOf = (id: string) => {
    const position = positions.get(id) ?? { step: 0, logs: [] };
    positions.set(id, position);
    return position;
  };
  const advance = async (row: Row) => {
    const position = positionOf(row.id);
    const step = double.course[position.step];
    if (step === undefined) return false;
    await step.after;
    position.step++;
    move(row, step);
    for (const text of step.log ?? []) {
      position.logs.push({
        seq: position.logs.length + 1,
        at: AT,
        stream: "stdout",
        text,
        ...(step.service ? { service: step.service } : {}),
      });
    }
    return true;
  };
  app.get("/api/deploy/status/:id", async (c) => {
    const row = double.deployments.find(({ id }) => id === c.req.param("id"));
    if (!row) return notFound();
    const { logs } = positionOf(row.id);
    const after = Number(c.req.header("last-event-id") ?? c.req.query("after") ?? 0);
    if (!c.req.header("accept")?.includes("text/event-stream") || !double.faults.streams) {
      const told = logs.filter((line) => line.seq > after).slice(0, 2);
      const answer = { deployment: structuredClone(row), logs: told, nextLog: told.at(-1)?.seq ?? after };
      if (after < Number.MAX_SAFE_INTEGER) await advance(row);
      return c.json(answer);
    }
    return streamSSE(c, async (stream) => {
      let told = after;
      let left = double.faults.streamCutAfterEvents;
      double.faults.streamCutAfterEvents = Number.POSITIVE_INFINITY;
      for (let more = true; more; more = await advance(row)) {
        if (left-- <= 0) return;
        await stream.writeSSE({ event: "deployment", data: JSON.stringify(row) });
        for (const line of logs.filter(({ seq }) => seq > told)) {
          await stream.writeSSE({ event: "log", id: String(line.seq), data: JSON.stringify(line) });
          told = line.seq;
        }
      }
      await stream.writeSSE({ event: "done", data: JSON.stringify(row) });
    });
  });
}

function notFound(): Response {
  const error = {
    code: "not_found",
    message: "There is no such deployment.",
    hint: "See the list.",
    requestId: "req_2",
  };
  return Response.json({ error }, { status: 404 });
}

function newDeployment(id: string, body: Record<string, unknown>): Row {
  return {
    branch: null,
    commit: null,
    message: null,
    dirty: false,
    ...body,
    id,
    state: "queued",
    reason: null,
    hint: null,
    url: `http://${body.project}.localhost:8080`,
    urls: [`http://${body.project}.localhost:8080`],
    targetDeploymentId: null,
    strategy: "instant",
    weight: 0,
    progress: 0,
    reused: false,
    createdAt: AT,
    updatedAt: AT,
    deadlineAt: null,
    finishedAt: null,
    phases: [{ state: "queued", at: AT, durationMs: null }],
    rollbackOf: null,
    actor: { kind: "token", name: "owner" },
  };
}

function move(row: Row, step: CourseStep): void {
  const { log: _log, after: _after, service: _service, fields: more, ...fields } = step;
  if (step.state !== row.state) {
    const last = row.phases.at(-1);
    if (last) last.durationMs = 1_200;
    row.phases.push({ state: step.state, at: AT, durationMs: null });
  }
  Object.assign(row, fields, more);
}
