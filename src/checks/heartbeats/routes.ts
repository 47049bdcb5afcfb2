import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context, Env } from "hono";
import type { ActorEnv } from "../../access/index.ts";
import { AppError, messageOf, toErrorBody } from "../../foundation/errors.ts";
import { createRouter } from "../../foundation/http.ts";
import type { Beat } from "./beat.ts";
import type { HeartbeatDeps } from "./deps.ts";
import { getHeartbeat } from "./get-heartbeat.ts";
import { readOutput } from "./output.ts";
import type { Heartbeat } from "./queries.ts";
import { createRate } from "./rate.ts";
import { receiveBeat } from "./receive-beat.ts";
import { KEY, rotateHeartbeatKey } from "./rotate-key.ts";

const security = [{ bearer: [] }];
const json = <T extends z.ZodType>(schema: T) => ({ "application/json": { schema } });
const CheckParam = z.object({ checkId: z.string().min(1).max(100) });
const nullableTime = z.iso.datetime().nullable();

const HeartbeatBody = z
  .object({
    checkId: z.string(),
    /** Whether it has an address. */
    hasKey: z.boolean(),
    state: z.enum(["new", "up", "down", "unknown"]),
    since: z.iso.datetime(),
    failure: z.object({ class: z.string(), message: z.string() }).nullable(),
    schedule: z.object({
      every: z.number().nullable(),
      cron: z.string().nullable(),
      zone: z.string(),
      graceMs: z.number(),
      maxRuntimeMs: z.number().nullable(),
    }),
    expectedAt: nullableTime,
    alertAfter: nullableTime,
    running: z.array(z.object({ runId: z.string(), startedAt: z.iso.datetime() })),
    last: z
      .object({
        at: z.iso.datetime(),
        kind: z.enum(["success", "start", "fail"]),
        exitCode: z.number().nullable(),
        runtimeMs: z.number().nullable(),
        output: z.string().nullable(),
      })
      .nullable(),
  })
  .openapi("Heartbeat");

const get = createRoute({
  method: "get",
  path: "/checks/{checkId}/heartbeat",
  summary: "A heartbeat: what it has said last, and what is waited for",
  security,
  request: { params: CheckParam },
  responses: { 200: { description: "The heartbeat", content: json(HeartbeatBody) } },
});

const rotate = createRoute({
  method: "post",
  path: "/checks/{checkId}/heartbeat/key",
  summary: "Makes a heartbeat's secret address, in place of the one before (deployer)",
  security,
  request: { params: CheckParam },
  responses: {
    201: {
      description: "The only answer that ever shows the key",
      content: json(z.object({ key: z.string(), path: z.string() })),
    },
  },
});

/** `/checks/:checkId/heartbeat…`; mount under `/api`, behind `authenticate`. */
export function heartbeatRoutes(deps: HeartbeatDeps): OpenAPIHono<ActorEnv> {
  return createRouter<ActorEnv>()
    .openapi(get, async (c) => {
      const found = await getHeartbeat(deps, c.get("actor"), c.req.valid("param").checkId);
      return c.json(bodyOf(found), 200);
    })
    .openapi(rotate, async (c) => {
      c.header("cache-control", "no-store");
      return c.json(await rotateHeartbeatKey(deps, c.get("actor"), c.req.valid("param").checkId), 201);
    });
}

/**
 * The addresses that jobs call: `/<key>`, `/<key>/start`, `/<key>/fail`, `/<key>/<exit code>`, each by GET or POST,
 * with `?rid=` where runs overlap. Mount at `/api/heartbeats`, without a token: the key is the secret.
 */
export function beatRoutes(deps: HeartbeatDeps): OpenAPIHono<Env> {
  const rate = createRate(deps.clock);
  const router = createRouter<Env>();
  const answer = async (c: Context) => {
    // A job that is slow to send its output has beaten when it began to.
    const at = deps.clock.now();
    c.header("cache-control", "no-store");
    // Answered here, whatever it is: the one who logs errors would log the address, which is the secret.
    try {
      await take(c, at);
      return c.text("ok\n");
    } catch (error) {
      const { status, body } = toErrorBody(error);
      if (status >= 500) deps.log.error({ status, err: messageOf(error) }, "a beat was not taken");
      return c.json(body, status as 400);
    }
  };
  const take = async (c: Context, at: Date) => {
    const key = c.req.param("key") ?? "";
    const beat = beatOf(c.req.param("what"), c.req.query("rid") ?? "");
    if (beat === null || !KEY.test(key)) {
      throw new AppError("not_found", "This is no address of a heartbeat.", {
        hint: "Use the address as it was given, alone or with /start, /fail or an exit code (0 to 255) after it.",
      });
    }
    const waitMs = rate(key);
    if (waitMs > 0) {
      c.header("retry-after", String(Math.ceil(waitMs / 1_000)));
      throw new AppError("rate_limited", "This heartbeat beats too often.", {
        hint: "Once every two seconds is enough.",
      });
    }
    const output = c.req.method === "POST" ? await readOutput(c.req.raw.body, deps.clock) : null;
    await receiveBeat(deps, key, { ...beat, output }, at);
  };
  router.on(["GET", "POST"], ["/:key", "/:key/:what"], answer);
  return router;
}

const RUN_ID = /^[\w.:-]{0,100}$/;

function beatOf(what: string | undefined, runId: string): Beat | null {
  if (!RUN_ID.test(runId)) return null;
  if (what === undefined) return { kind: "success", exitCode: null, runId };
  if (what === "start" || what === "fail") return { kind: what, exitCode: null, runId };
  if (!/^\d{1,3}$/.test(what) || Number(what) > 255) return null;
  return { kind: Number(what) === 0 ? "success" : "fail", exitCode: Number(what), runId };
}

function bodyOf(row: Heartbeat): z.infer<typeof HeartbeatBody> {
  const running = Object.entries(row.runs).map(([runId, at]) => ({
    runId,
    startedAt: new Date(at).toISOString(),
  }));
  const last = row.last_at !== null &&
    row.last_kind !== null && {
      at: row.last_at.toISOString(),
      kind: row.last_kind,
      exitCode: row.last_exit_code,
      runtimeMs: row.last_runtime_ms,
      output: row.last_output,
    };
  return {
    checkId: row.check_id,
    hasKey: row.key_hash !== null,
    state: row.state,
    since: row.since.toISOString(),
    failure: row.failure,
    schedule: row.schedule,
    expectedAt: row.expected_at?.toISOString() ?? null,
    alertAfter: row.alert_after?.toISOString() ?? null,
    running,
    last: last || null,
  };
}
