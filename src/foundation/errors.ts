/**
 * The one error type for the world's faults (bad input, a missing thing, a vendor that is down).
 * Our own bugs use `node:assert`. `message` says what happened with the values and limits; `hint`
 * says what to do next. Both are safe to show to a user; secrets never enter either.
 */
export type ErrorCode =
  | "bad_request"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "in_flight"
  | "unprocessable"
  | "too_large"
  | "rate_limited"
  | "timeout"
  | "canceled"
  | "unavailable"
  | "upstream"
  | "internal";

/** HTTP status of each code: the only mapping, used by every HTTP surface of ours. */
export const HTTP_STATUS = {
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  in_flight: 409,
  unprocessable: 422,
  too_large: 413,
  rate_limited: 429,
  timeout: 504,
  canceled: 499,
  unavailable: 503,
  upstream: 502,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

export type AppErrorOptions = {
  /** What the reader should do next, as one sentence. */
  hint?: string;
  cause?: unknown;
  /** Machine-readable particulars, safe to show: field errors, limits, vendor status and request id. */
  details?: unknown;
};

export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

/** The JSON body of every error that we answer: `{error: {code, message, hint?, details?, requestId?}}`. */
export type ErrorBody = {
  error: { code: ErrorCode; message: string; hint?: string; details?: unknown; requestId?: string };
};

/** Turns anything thrown into a status and a body. An unknown error becomes `internal` and shows nothing of itself. */
export function toErrorBody(thrown: unknown, requestId?: string): { status: number; body: ErrorBody } {
  const error =
    thrown instanceof AppError
      ? thrown
      : new AppError("internal", "Something went wrong inside Signalbox.", {
          hint: "Look for this request id in the log of the process that answered.",
        });
  return {
    status: HTTP_STATUS[error.code],
    body: {
      error: {
        code: error.code,
        message: error.message,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        ...(error.details === undefined ? {} : { details: error.details }),
        ...(requestId === undefined ? {} : { requestId }),
      },
    },
  };
}

/** The text of anything thrown, for a log line or a `reason` column. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The `code` of a Node or Postgres error (`ECONNREFUSED`, `23505`), if it has one. */
export function errorCodeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
