import { OpenAPIHono } from "@hono/zod-openapi";
import type { Env } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { AppError, toErrorBody } from "./errors.ts";
import type { Ids } from "./ids.ts";
import type { Log } from "./log.ts";

export type RequestVariables = { readonly requestId: string };

/**
 * An empty router whose validation errors are ours: every wrong field at once, in the error shape of `ErrorBody`.
 * Mount it under `createApi`, which turns thrown errors into answers.
 */
export function createRouter<E extends Env>(): OpenAPIHono<E> {
  return new OpenAPIHono<E>({
    defaultHook: (result) => {
      if (result.success) return;
      const details = result.error.issues.map((issue) => ({
        path: issue.path.map(String).join("."),
        message: issue.message,
      }));
      const first = details.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");
      throw new AppError("bad_request", `The request is not valid: ${first}.`, {
        hint: "GET /api/openapi.json describes every request.",
        details,
      });
    },
  });
}

/** The root router: a request id on every answer, one error mapper, 404 in our shape. */
export function createApi<E extends Env & { Variables: RequestVariables }>(deps: {
  ids: Ids;
  log: Log;
}): OpenAPIHono<E> {
  const api = createRouter<E>();
  api.use(async (c, next) => {
    const requestId = deps.ids("req");
    c.set("requestId", requestId);
    await next();
    c.res.headers.set("x-request-id", requestId);
  });
  api.notFound((c) => {
    const error = new AppError("not_found", `There is no ${c.req.method} ${c.req.path}.`, {
      hint: "GET /api/openapi.json lists what there is.",
    });
    const { status, body } = toErrorBody(error, c.get("requestId"));
    return c.json(body, status as ContentfulStatusCode);
  });
  api.onError((thrown, c) => {
    const requestId = c.get("requestId");
    const { status, body } = toErrorBody(asAppError(thrown), requestId);
    const fields = { requestId, method: c.req.method, path: c.req.path, status, err: thrown };
    if (status >= 500) deps.log.error(fields, "request failed");
    return c.json(body, status as ContentfulStatusCode);
  });
  return api;
}

/** Hono throws its own HTTPException for a body that is no JSON; that is the caller's fault, not ours. */
function asAppError(thrown: unknown): unknown {
  if (thrown instanceof SyntaxError || (thrown instanceof Error && /malformed json/i.test(thrown.message))) {
    return new AppError("bad_request", "The body is no JSON.", {
      hint: 'Send a JSON object and the header "Content-Type: application/json".',
      cause: thrown,
    });
  }
  return thrown;
}
