import { AppError, type AppErrorOptions, type ErrorCode } from "../../foundation/errors.ts";

/** An error on the way to the control plane, or one that it answered. */
export class ApiError extends AppError {
  /** Null: no answer came, so it is unknown whether the request was acted upon. */
  readonly status: number | null;
  readonly requestId: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    options: AppErrorOptions & { status: number | null; requestId?: string | null },
  ) {
    super(code, message, options);
    this.status = options.status;
    this.requestId = options.requestId ?? null;
  }
}

/** True when a repetition may succeed: no answer, or one that says "not now". */
export function isTransient(thrown: unknown): boolean {
  if (!(thrown instanceof ApiError)) return false;
  return thrown.status === null || thrown.status >= 500 || thrown.status === 429;
}

const CODE_BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "bad_request",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  409: "conflict",
  413: "too_large",
  422: "unprocessable",
  429: "rate_limited",
  500: "internal",
  502: "upstream",
  503: "unavailable",
  504: "timeout",
};

/** The error in an answer: the API's own words, or, when something else answered, what it was. */
export function toApiError(
  url: string,
  status: number,
  body: unknown,
  headerRequestId: string | null,
): ApiError {
  const error = (body as { error?: Record<string, unknown> } | null)?.error;
  const code = CODE_BY_STATUS[status] ?? (status >= 500 ? "internal" : "bad_request");
  if (typeof error !== "object" || error === null || typeof error.message !== "string") {
    return new ApiError(code, `${url} answered ${status}, and not in the words of Signalbox.`, {
      status,
      requestId: headerRequestId,
      hint: "Check that this address is the control plane's, and no other program's or a proxy's.",
    });
  }
  return new ApiError(isErrorCode(error.code) ? error.code : code, error.message, {
    status,
    requestId: typeof error.requestId === "string" ? error.requestId : headerRequestId,
    ...(typeof error.hint === "string" ? { hint: error.hint } : {}),
    ...(error.details === undefined ? {} : { details: error.details }),
  });
}

const KNOWN_CODES = new Set<unknown>([...Object.values(CODE_BY_STATUS), "in_flight", "canceled"]);

function isErrorCode(code: unknown): code is ErrorCode {
  return KNOWN_CODES.has(code);
}
