import { z } from "zod";
import { AppError, type ErrorCode, errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { ErrorAnswer } from "./vercel-answers.ts";

/** The particulars of a refusal, in `AppError.details`. */
export type VendorDetails = {
  readonly vendor: "vercel";
  /** Null: there was no answer. */
  readonly status: number | null;
  readonly code: string;
  readonly requestId: string | null;
  /** Of 429: how long the platform asks us to wait. */
  readonly retryAfterMs?: number;
  /** SHA-1s of `missing_files`. */
  readonly missing?: readonly string[];
};

type RefusalContext = { readonly secrets: readonly string[]; readonly nowMs: number };
type Refusal = { readonly status: number; readonly body: unknown; readonly headers: Headers };

/**
 * An answer of 400 and above: `not_found` for 404, `rate_limited` for 429, `unavailable` for the platform's own faults,
 * `unauthorized` and `forbidden` for a token that is not taken, else `unprocessable`. `secrets` are cut out of what the
 * vendor says, should it repeat them.
 */
export function refusalOf(answer: Refusal, { secrets, nowMs }: RefusalContext): AppError {
  const parsed = ErrorAnswer.safeParse(answer.body);
  const vendor = parsed.success ? parsed.data.error : unexplained(answer);
  const code = conceal(vendor.code, secrets);
  const id = answer.headers.get("x-vercel-id");
  const requestId = id === null ? null : conceal(id, secrets);
  const details: VendorDetails = {
    vendor: "vercel",
    status: answer.status,
    code,
    requestId,
    ...(answer.status === 429 ? { retryAfterMs: retryAfterMs(answer, nowMs) } : {}),
    ...(vendor.missing === undefined ? {} : { missing: vendor.missing }),
  };
  const said = `The Vercel API answered ${answer.status} (${code}): ${endSentence(conceal(vendor.message, secrets))}`;
  const inspect = inspectorOf(answer.body);
  const message = [
    ownSentence(answer.status, code),
    said,
    inspect === null ? null : `See ${conceal(inspect, secrets)}.`,
    requestId === null ? null : `Request ${requestId}.`,
  ];
  return new AppError(codeFor(answer.status), message.filter((part) => part !== null).join(" "), {
    hint: hintFor(answer.status, code),
    details,
  });
}

/** A request that got no answer. Whose clock ran out matters: the caller's own abort is `canceled`. */
export function failureOf(thrown: unknown, callers: AbortSignal, secrets: readonly string[]): AppError {
  if (callers.aborted && !isTimeout(callers.reason)) {
    if (callers.reason instanceof AppError) return callers.reason;
    return new AppError("canceled", "The request to the Vercel API was canceled.", { cause: callers.reason });
  }
  const root = rootCause(thrown);
  const why = conceal(errorCodeOf(root) ?? messageOf(root), secrets);
  // No `cause`: what a library keeps in its errors (headers, whole requests) is not ours to log.
  return new AppError("unavailable", `The Vercel API gave no answer (${why}).`, {
    hint: "Check that the API is up (for the dock: `signalbox doctor`); the request can be repeated.",
    details: { vendor: "vercel", status: null, code: "no_answer", requestId: null } satisfies VendorDetails,
  });
}

/** The caller's patience was over, which is no wish to cancel: the platform was too slow. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof DOMException && reason.name === "TimeoutError";
}

/** Reads the answer of a request that was accepted. What is no answer to it is the platform's fault. */
export function readAnswer<S extends z.ZodType>(
  schema: S,
  answer: { readonly status: number; readonly body: unknown; readonly headers: Headers },
): z.output<S> {
  const parsed = schema.safeParse(answer.body);
  if (parsed.success) return parsed.data;
  const requestId = answer.headers.get("x-vercel-id");
  const missing = parsed.error.issues.map(({ path }) => path.join(".") || "a body").join(", ");
  const request = requestId === null ? "" : ` Request ${requestId}.`;
  throw new AppError("upstream", `The Vercel API answered ${answer.status} without ${missing}.${request}`, {
    hint: "Check that SIGNALBOX_VERCEL_API is the address of the Vercel API or of the dock.",
    details: {
      vendor: "vercel",
      status: answer.status,
      code: "unreadable",
      requestId,
    } satisfies VendorDetails,
  });
}

/** The vendor's particulars of an error made here. */
export function vendorDetails(error: unknown): VendorDetails | null {
  if (!(error instanceof AppError) || typeof error.details !== "object" || error.details === null)
    return null;
  const details = error.details as Partial<VendorDetails>;
  return details.vendor === "vercel" ? (details as VendorDetails) : null;
}

/** True when the request may have been carried out although we know of no success: no answer, or a fault after it. */
export function isUncertain(error: unknown): boolean {
  const details = vendorDetails(error);
  if (details === null) return false;
  return (
    details.status === null ||
    details.status >= 500 ||
    details.status === 408 ||
    details.code === "unreadable"
  );
}

/** True when the platform has said no: the same request again would be refused again. */
export function isRefusal(error: unknown): boolean {
  const status = vendorDetails(error)?.status ?? null;
  return status !== null && status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** Runs `act`; an answer with one of `statuses` becomes `instead`. */
export async function unlessStatus<T, U>(
  statuses: readonly number[],
  act: () => Promise<T>,
  instead: U,
): Promise<T | U> {
  try {
    return await act();
  } catch (error) {
    const status = vendorDetails(error)?.status;
    if (typeof status === "number" && statuses.includes(status)) return instead;
    throw error;
  }
}

/** Milliseconds of a `Retry-After`, in seconds or as a date; else of `x-ratelimit-reset`; else a minute. */
export function retryAfterMs({ headers }: { readonly headers: Headers }, nowMs: number): number {
  const asked = headers.get("retry-after");
  const seconds = Number(asked);
  if (asked !== null && asked !== "" && Number.isFinite(seconds)) return Math.max(0, seconds * 1_000);
  const date = asked === null ? Number.NaN : Date.parse(asked);
  if (Number.isFinite(date)) return Math.max(0, date - nowMs);
  const reset = Number(headers.get("x-ratelimit-reset"));
  if (Number.isFinite(reset) && reset > 0) return Math.max(0, reset * 1_000 - nowMs);
  return DEFAULT_RETRY_AFTER_MS;
}

const DEFAULT_RETRY_AFTER_MS = 60_000;

/** No vendor's token is shorter; cutting out a word that anybody uses would only hide what was said. */
const SHORTEST_SECRET = 8;

/** `text` without the secrets, should whoever wrote it have repeated one. */
export function conceal(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .reduce((clean, secret) => clean.replaceAll(secret, "[secret]"), text);
}

const PAUSED = /^(DEPLOYMENT_DISABLED|DEPLOYMENT_PAUSED|project_paused)$/i;
const UNPAID = /^(payment_required|spend_limit|billing)/i;

/** What the operator has to know, in our words; null where the vendor's are enough. */
function ownSentence(status: number, code: string): string | null {
  if (PAUSED.test(code)) return "The project is paused at Vercel, so it serves nobody.";
  if (status === 402 || UNPAID.test(code)) return "Vercel wants a payment or another plan for this.";
  if (status === 429) return "Vercel's rate limit is reached.";
  return null;
}

function codeFor(status: number): ErrorCode {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not_found";
  if (status === 429) return "rate_limited";
  return status === 408 || status >= 500 ? "unavailable" : "unprocessable";
}

function hintFor(status: number, code: string): string {
  if (PAUSED.test(code))
    return "Resume the project at Vercel (Settings, General), or raise the spend limit of its team.";
  if (status === 401 || status === 403)
    return "Check SIGNALBOX_VERCEL_TOKEN, its scope, and SIGNALBOX_VERCEL_TEAM.";
  if (status === 402) return "The plan of this Vercel account does not include it, or its payment is due.";
  if (status === 404) return "It may have been deleted at the target; deploy again to make it anew.";
  if (status === 429) return "Wait for the rate limit to pass; Signalbox tries again by itself.";
  if (status >= 500) return "This is the platform's fault; Signalbox tries again by itself.";
  return "Correct what the message names, and deploy again.";
}

function unexplained({ status, body, headers }: Refusal): {
  code: string;
  message: string;
  missing?: string[];
} {
  // The edge's own error pages are HTML, and name the reason in a header.
  const edge = headers.get("x-vercel-error");
  if (edge !== null) return { code: edge, message: "no reason given" };
  const what = body === null ? "a page that is no JSON, as of a proxy" : "no reason given";
  return { code: `http_${status}`, message: what };
}

const Inspected = z.object({
  error: z.object({ inspectorUrl: z.url().optional(), link: z.url().optional() }),
});

function inspectorOf(body: unknown): string | null {
  const parsed = Inspected.safeParse(body);
  return parsed.success ? (parsed.data.error.inspectorUrl ?? parsed.data.error.link ?? null) : null;
}

function endSentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/** fetch says "fetch failed" and the SDK "Unable to make request"; the reason is at the end of the chain. */
function rootCause(thrown: unknown): unknown {
  let cause = thrown;
  for (let depth = 0; depth < 8 && cause instanceof Error && cause.cause !== undefined; depth++)
    cause = cause.cause;
  return cause;
}
