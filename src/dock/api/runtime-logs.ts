import { Hono } from "hono";
import { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { getDeployment } from "../deployments/queries.ts";
import type { Dock } from "../dock.ts";
import type { Entry } from "../logs/entry.ts";
import { parseFilter } from "../logs/filter.ts";
import { followLogs, readLogs } from "../logs/read-logs.ts";
import { groupByRequest, type LoggedRequest, matchesRequest, sourceOf } from "../logs/requests.ts";
import { findProject, getProject } from "../projects/queries.ts";
import { readBody, readQuery } from "./body.ts";
import { jsonLines } from "./json-lines.ts";

const PAGE = 100;
const DAY_MS = 24 * 60 * 60_000;
const Choices = z
  .string()
  .default("")
  .transform((text) => text.split(",").filter((one) => one !== ""));

const RequestQuery = z.object({
  projectId: z.string(),
  deploymentId: z.string().optional(),
  page: z.coerce.number().int().min(0).default(0),
  startDate: z.coerce.number().optional(),
  endDate: z.coerce.number().optional(),
  environment: z.string().optional(),
  branch: z.string().optional(),
  level: Choices,
  source: Choices,
  statusCode: Choices,
  search: z.string().default(""),
  requestId: z.string().default(""),
});

const Moment = z.union([z.number(), z.string().transform((text) => Date.parse(text))]).pipe(z.number());
const EventsBody = z.object({
  event: z.enum(["vercel.log", "vercel.proxy_response"]),
  scope: z.object({ projectIds: z.array(z.string()).max(100).default([]) }),
  timeRange: z.object({ start: Moment, end: Moment }),
  select: z.array(z.string()).max(100).default([]),
  order: z.enum(["asc", "desc"]).default("desc"),
  limit: z.number().int().min(1).max(1_000).default(PAGE),
  filter: z.string().max(8_192).optional(),
  cursor: z.string().max(64).nullish(),
});

/** What releases print: as requests, as events, and as a stream. Kept for as long as a release's process is. */
export function runtimeLogRoutes(dock: Dock): Hono {
  const app = new Hono();
  app.get("/api/logs/request-logs", async (c) => c.json(await requestLogs(dock, readQuery(c, RequestQuery))));

  app.post("/observability/events", async (c) => c.json(await events(dock, await readBody(c, EventsBody))));

  app.get("/projects/:project/deployments/:deployment/runtime-logs", async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    const deployment = await getDeployment(dock, c.req.param("deployment"));
    if (deployment.project_id !== project.id) throw noSuchDeployment(deployment.id);
    const scope = { projectIds: [project.id], deploymentId: deployment.id };
    const follow = c.req.query("format") === "lines" || ["1", "true"].includes(c.req.query("follow") ?? "");
    return jsonLines(c.req.raw.signal, (signal) =>
      follow ? followed(dock, scope, signal) : stored(dock, scope),
    );
  });

  app.get("/projects/:project/production-deployment", async (c) => {
    const project = await getProject(dock.db, c.req.param("project"));
    const serving = [...dock.traffic.state.aliases.values()].find(
      (alias) => alias.kind === "production" && alias.projectId === project.id,
    );
    if (!serving) throw new AppError("not_found", `Nothing serves production of "${project.name}".`);
    const { id, url, state } = await getDeployment(dock, serving.deploymentId);
    return c.json({ deployment: { id, url, readyState: state }, deploymentIsStale: false });
  });
  return app;
}

async function requestLogs(dock: Dock, query: z.infer<typeof RequestQuery>) {
  const project = await findProject(dock.db, query.projectId);
  if (!project) throw new AppError("not_found", `There is no project "${query.projectId.slice(0, 200)}".`);
  const now = dock.clock.now().getTime();
  const span = { start: query.startDate ?? now - DAY_MS, end: query.endDate ?? now };
  const scope = { projectIds: [project.id], deploymentId: query.deploymentId };
  const entries = (await readLogs(dock, scope, span)).filter(
    (entry) =>
      (query.environment === undefined || entry.environment === query.environment) &&
      (query.branch === undefined || entry.branch === query.branch),
  );
  const { level: levels, source: sources, statusCode: statuses, search: text, requestId } = query;
  const filter = { levels, sources, statuses, text, requestId };
  const found = groupByRequest(entries).filter((request) => matchesRequest(request, filter));
  const start = query.page * PAGE;
  const rows = found.slice(start, start + PAGE).map(requestRow);
  return { rows, hasMoreRows: found.length > start + PAGE };
}

function requestRow(request: LoggedRequest) {
  const { main } = request;
  return {
    requestId: request.requestId || main.id,
    timestamp: new Date(request.at).toISOString(),
    projectId: main.projectId,
    deploymentId: main.deploymentId,
    domain: main.host,
    environment: main.environment,
    ...(main.branch === null ? {} : { branch: main.branch }),
    requestMethod: main.method,
    requestPath: main.path,
    statusCode: request.status,
    logs: request.lines.map((line) => ({ ...line, messageTruncated: false })),
    events: [{ source: sourceOf(request) }],
  };
}

async function events(dock: Dock, body: z.infer<typeof EventsBody>) {
  const projects = await Promise.all(body.scope.projectIds.map((id) => findProject(dock.db, id)));
  const projectIds = projects.flatMap((project) => (project ? [project.id] : []));
  const filter = body.filter === undefined ? () => true : parseFilter(body.filter);
  const entries = await readLogs(dock, { projectIds }, body.timeRange);
  const records =
    body.event === "vercel.log"
      ? entries.filter((entry) => entry.source !== "request" || entry.message !== "").map(logRecord)
      : groupByRequest(entries)
          .filter((request) => request.requestId !== "")
          .map(requestRecord);
  const found = records.filter(filter).sort((a, b) => a.timestamp.localeCompare(b.timestamp));
  if (body.order === "desc") found.reverse();
  const start = Number(body.cursor ?? 0);
  if (!Number.isSafeInteger(start) || start < 0) {
    throw new AppError("bad_request", "The cursor is not one of this API.", {
      hint: "Begin without a cursor.",
    });
  }
  const end = start + body.limit;
  const hasMore = found.length > end;
  const wanted = new Set([...body.select, "timestamp"]);
  const selected = found
    .slice(start, end)
    .map((one) => Object.fromEntries(Object.entries(one).filter(([name]) => wanted.has(name))));
  return {
    events: body.select.length === 0 ? found.slice(start, end) : selected,
    pagination: { hasMore, nextCursor: hasMore ? String(end) : null },
  };
}

/** How the observability API names where a line comes from. */
const SOURCES = {
  serverless: "function",
  "edge-function": "edge",
  "edge-middleware": "middleware",
  static: "static",
  request: "function",
} as const;

function logRecord(entry: Entry) {
  return {
    timestamp: new Date(entry.at).toISOString(),
    projectId: entry.projectId,
    deploymentId: entry.deploymentId,
    environment: entry.environment,
    branch: entry.branch ?? "",
    requestId: entry.requestId,
    domain: entry.host,
    requestMethod: entry.method,
    requestPath: entry.path,
    source: SOURCES[entry.source],
    service: "",
    isSystemLog: false,
    region: "local",
    runtime: "nodejs",
    level: entry.level,
    message: entry.message,
    stream: entry.level === "info" ? "stdout" : "stderr",
    traceId: "",
    spanId: "",
    attributes: {},
    truncated: false,
  };
}

function requestRecord(request: LoggedRequest) {
  const { main } = request;
  return {
    timestamp: new Date(request.at).toISOString(),
    projectId: main.projectId,
    deploymentId: main.deploymentId,
    environment: main.environment,
    requestId: request.requestId,
    requestHostname: main.host,
    requestMethod: main.method,
    requestPath: main.path,
    httpStatus: request.status,
    route: main.path,
    pathType: sourceOf(request),
    cacheResult: "",
    edgeNetworkRegion: "local",
    service: "",
    clientIpCountry: "",
    clientUserAgent: "",
    wafAction: "",
  };
}

type Scope = { readonly projectIds: readonly string[]; readonly deploymentId: string };

async function* stored(dock: Dock, scope: Scope): AsyncGenerator<object> {
  const entries = await readLogs(dock, scope, { start: 0, end: Number.POSITIVE_INFINITY });
  for (const entry of entries.sort((a, b) => a.at - b.at)) yield streamRow(entry);
}

async function followed(dock: Dock, scope: Scope, signal: AbortSignal): Promise<AsyncGenerator<object>> {
  return streamRows(await followLogs(dock, scope, signal));
}

async function* streamRows(entries: AsyncIterable<Entry>): AsyncGenerator<object> {
  for await (const entry of entries) yield streamRow(entry);
}

function streamRow(entry: Entry) {
  return {
    rowId: entry.id,
    timestampInMs: entry.at,
    level: entry.level,
    message: entry.message,
    messageTruncated: false,
    source: entry.source === "static" ? "request" : entry.source,
    domain: entry.host,
    requestMethod: entry.method,
    requestPath: entry.path,
    responseStatusCode: entry.status,
  };
}

function noSuchDeployment(id: string): AppError {
  return new AppError("not_found", `The project has no deployment "${id}".`);
}
