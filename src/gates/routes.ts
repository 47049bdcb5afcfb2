import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { type ActorEnv, requireRole } from "../access/index.ts";
import { createRouter } from "../foundation/http.ts";
import { approveDeployment } from "./approve.ts";
import { breakGlass } from "./break-glass.ts";
import { createFreeze } from "./create-freeze.ts";
import { createLock } from "./create-lock.ts";
import { deleteFreeze } from "./delete-freeze.ts";
import { isFrozen } from "./freeze.ts";
import { listApprovals } from "./list-approvals.ts";
import { type ListedFreeze, listFreezes, listLocks } from "./queries.ts";
import { rejectDeployment } from "./reject.ts";
import { releaseLock } from "./release-lock.ts";
import * as schemas from "./schemas.ts";
import type { GateDeps } from "./subject.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const answer = <T extends z.ZodType>(description: string, schema: T) => ({
  description,
  content: json(schema),
});
const body = <T extends z.ZodType>(schema: T) => ({ required: true, content: json(schema) });
const optionalBody = <T extends z.ZodType>(schema: T) => ({ required: false, content: json(schema) });
const gate = { 200: answer("The gate as it is now", schemas.GateBody) };
const oneLock = z.object({ lock: schemas.LockBody });
const oneFreeze = z.object({ freeze: schemas.FreezeBody });
const deploymentParam = z.object({ deploymentId: schemas.GateId });
const idParam = z.object({ id: schemas.GateId });

const approve = createRoute({
  method: "post",
  path: "/deploy/approve/{deploymentId}",
  summary: "Approves a deployment that waits for it (reviewer)",
  security,
  request: { params: deploymentParam, body: optionalBody(schemas.ApproveBody) },
  responses: gate,
});

const reject = createRoute({
  method: "post",
  path: "/deploy/reject/{deploymentId}",
  summary: "Rejects a deployment that waits for approval (reviewer)",
  security,
  request: { params: deploymentParam, body: body(schemas.RejectBody) },
  responses: gate,
});

const breakTheGlass = createRoute({
  method: "post",
  path: "/deploy/break-glass/{deploymentId}",
  summary: "Lets a deployment through whatever holds it (owner)",
  security,
  request: { params: deploymentParam, body: body(schemas.BreakGlassBody) },
  responses: gate,
});

const approvals = createRoute({
  method: "get",
  path: "/deploy/approvals/{deploymentId}",
  summary: "What a deployment's gate asks for, who answered, and what follows",
  security,
  request: { params: deploymentParam },
  responses: gate,
});

const createLockRoute = createRoute({
  method: "post",
  path: "/locks",
  summary: "Locks a project, an environment or everything (deployer)",
  security,
  request: { body: body(schemas.LockInput) },
  responses: { 201: answer("Locked", oneLock), 200: answer("It was locked so already", oneLock) },
});

const listLocksRoute = createRoute({
  method: "get",
  path: "/locks",
  summary: "The locks that hold now, oldest first",
  security,
  responses: { 200: answer("Oldest first", z.object({ locks: z.array(schemas.LockBody) })) },
});

const deleteLockRoute = createRoute({
  method: "delete",
  path: "/locks/{id}",
  summary: "Releases a lock (who made it, or an owner)",
  security,
  request: { params: idParam, query: schemas.EndBody },
  responses: { 200: answer("Released", oneLock) },
});

/** With the reason in a body: what a DELETE carries there, proxies may drop (RFC 9110, 9.3.5). */
const releaseLockRoute = createRoute({
  method: "post",
  path: "/locks/{id}/release",
  summary: "Releases a lock (who made it, or an owner), as DELETE does",
  security,
  request: { params: idParam, body: optionalBody(schemas.EndBody) },
  responses: { 200: answer("Released", oneLock) },
});

const createFreezeRoute = createRoute({
  method: "post",
  path: "/freezes",
  summary: "Adds a freeze, once or every week (owner)",
  security,
  request: { body: body(schemas.FreezeInput) },
  responses: { 201: answer("Added", oneFreeze), 200: answer("It was there already", oneFreeze) },
});

const listFreezesRoute = createRoute({
  method: "get",
  path: "/freezes",
  summary: "The freezes that hold now or will again, oldest first",
  security,
  responses: { 200: answer("Oldest first", z.object({ freezes: z.array(schemas.FreezeBody) })) },
});

const deleteFreezeRoute = createRoute({
  method: "delete",
  path: "/freezes/{id}",
  summary: "Takes a freeze away (owner)",
  security,
  request: { params: idParam },
  responses: { 200: answer("Taken away", oneFreeze) },
});

const endFreezeRoute = createRoute({
  method: "post",
  path: "/freezes/{id}/end",
  summary: "Takes a freeze away (owner), as DELETE does",
  security,
  request: { params: idParam },
  responses: { 200: answer("Taken away", oneFreeze) },
});

/** `/deploy/{approve,reject,break-glass,approvals}/…`, `/locks…`, `/freezes…`; mount under `/api`, authenticated. */
export function gateRoutes(deps: GateDeps): OpenAPIHono<ActorEnv> {
  const routes = createRouter<ActorEnv>();
  addDeploymentGates(routes, deps);
  addLocks(routes, deps);
  addFreezes(routes, deps);
  return routes;
}

function addDeploymentGates(routes: OpenAPIHono<ActorEnv>, deps: GateDeps): void {
  routes.openapi(approve, async (c) => {
    const input = { ...c.req.valid("json"), ...c.req.valid("param") };
    return c.json(schemas.gateBody(await approveDeployment(deps, c.var.actor, input)), 200);
  });
  routes.openapi(reject, async (c) => {
    const input = { ...c.req.valid("json"), ...c.req.valid("param") };
    return c.json(schemas.gateBody(await rejectDeployment(deps, c.var.actor, input)), 200);
  });
  routes.openapi(breakTheGlass, async (c) => {
    const input = { ...c.req.valid("json"), ...c.req.valid("param") };
    return c.json(schemas.gateBody(await breakGlass(deps, c.var.actor, input)), 200);
  });
  routes.openapi(approvals, async (c) => {
    requireRole(c.var.actor, "viewer");
    return c.json(schemas.gateBody(await listApprovals(deps, c.req.valid("param").deploymentId)), 200);
  });
}

function addLocks(routes: OpenAPIHono<ActorEnv>, deps: GateDeps): void {
  routes.openapi(createLockRoute, async (c) => {
    const { lock, created } = await createLock(deps, c.var.actor, c.req.valid("json"));
    return c.json({ lock: schemas.lockBody(lock) }, created ? 201 : 200);
  });
  routes.openapi(listLocksRoute, async (c) => {
    requireRole(c.var.actor, "viewer");
    const locks = await listLocks(deps.db, deps.clock.now());
    return c.json({ locks: locks.map(schemas.lockBody) }, 200);
  });
  routes.openapi(deleteLockRoute, async (c) => {
    const lock = await releaseLock(deps, c.var.actor, c.req.valid("param").id, c.req.valid("query"));
    return c.json({ lock: schemas.lockBody(lock) }, 200);
  });
  routes.openapi(releaseLockRoute, async (c) => {
    const lock = await releaseLock(deps, c.var.actor, c.req.valid("param").id, c.req.valid("json"));
    return c.json({ lock: schemas.lockBody(lock) }, 200);
  });
}

function addFreezes(routes: OpenAPIHono<ActorEnv>, deps: GateDeps): void {
  const toBody = (freeze: ListedFreeze) => schemas.freezeBody(freeze, isFrozen(freeze, deps.clock.now()));
  routes.openapi(createFreezeRoute, async (c) => {
    const input = c.req.valid("json");
    const expiresAt = input.expiresAt === undefined ? undefined : new Date(input.expiresAt);
    const { name, reason, project, environment } = input;
    const wanted = { name, reason, project, environment, expiresAt, window: schemas.windowOf(input) };
    const { freeze, created } = await createFreeze(deps, c.var.actor, wanted);
    return c.json({ freeze: toBody(freeze) }, created ? 201 : 200);
  });
  routes.openapi(listFreezesRoute, async (c) => {
    requireRole(c.var.actor, "viewer");
    const freezes = await listFreezes(deps.db, deps.clock.now());
    return c.json({ freezes: freezes.map(toBody) }, 200);
  });
  routes.openapi(deleteFreezeRoute, async (c) => {
    const freeze = await deleteFreeze(deps, c.var.actor, c.req.valid("param").id);
    return c.json({ freeze: schemas.freezeBody(freeze, null) }, 200);
  });
  routes.openapi(endFreezeRoute, async (c) => {
    const freeze = await deleteFreeze(deps, c.var.actor, c.req.valid("param").id);
    return c.json({ freeze: schemas.freezeBody(freeze, null) }, 200);
  });
}
