import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { AppError, errorCodeOf, toErrorBody } from "../../foundation/errors.ts";
import type { Log } from "../../foundation/log.ts";
import { VercelError } from "../vercel-error.ts";

/** Codes of a database that is away for a moment: the client may ask again. Source: PostgreSQL manual, appendix A. */
const AWAY = new Set(["ECONNREFUSED", "ECONNRESET", "ENOENT", "57P01", "57P02", "57P03", "08006", "08003"]);

/** Anything thrown, in Vercel's shape: `{error: {code, message, …}}`. */
export function answerError(c: Context, thrown: unknown, log: Log): Response {
  const error = asAppError(thrown);
  const { status, body } = toErrorBody(error);
  if (status >= 500) log.error({ err: thrown, path: c.req.path, method: c.req.method }, "a request failed");
  const { hint, ...rest } = body.error;
  // Vercel's clients show `message` only.
  const message = hint === undefined ? rest.message : `${rest.message} ${hint}`;
  const own = error instanceof VercelError ? { ...error.fields, code: error.vercelCode } : {};
  return c.json({ error: { ...rest, message, ...own } }, status as ContentfulStatusCode);
}

function asAppError(thrown: unknown): unknown {
  if (thrown instanceof AppError) return thrown;
  const away =
    AWAY.has(errorCodeOf(thrown) ?? "") ||
    (thrown instanceof Error && /Connection terminated|timeout exceeded when trying/.test(thrown.message));
  if (!away) return thrown;
  return new AppError("unavailable", "The dock's database does not answer.", {
    hint: "Try again in a moment.",
    cause: thrown,
  });
}
