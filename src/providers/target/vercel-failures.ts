import { AppError, errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { ErrorAnswer } from "./vercel-answers.ts";

/** The particulars of a refusal, in `AppError.details`. */
export type VendorDetails = {
  readonly vendor: "vercel";
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;
  /** SHA-1s of `missing_files`. */
  readonly missing?: readonly string[];
};

/** An answer of 400 and above: `not_found` for 404, `upstream` for what a retry may cure, else `unprocessable`. */
export function refusalOf(answer: { status: number; body: unknown; headers: Headers }): AppError {
  const parsed = ErrorAnswer.safeParse(answer.body);
  const vendor = parsed.success ? parsed.data.error : unexplained(answer.status);
  const details: VendorDetails = {
    vendor: "vercel",
    status: answer.status,
    code: vendor.code,
    requestId: answer.headers.get("x-vercel-id"),
    ...(vendor.missing === undefined ? {} : { missing: vendor.missing }),
  };
  const message = `The Vercel API answered ${answer.status} (${vendor.code}): ${endSentence(vendor.message)}`;
  return new AppError(codeFor(answer.status), message, { hint: hintFor(answer.status), details });
}

/** A request that got no answer. Whose clock ran out matters: the caller's own abort is `canceled`. */
export function failureOf(thrown: unknown, callers: AbortSignal): AppError {
  if (callers.aborted) {
    if (callers.reason instanceof AppError) return callers.reason;
    return new AppError("canceled", "The request to the Vercel API was canceled.", { cause: callers.reason });
  }
  const root = rootCause(thrown);
  const why = errorCodeOf(root) ?? messageOf(root);
  return new AppError("upstream", `The Vercel API gave no answer (${why}).`, {
    hint: "Check that the API is up (for the dock: `signalbox doctor`); the request can be repeated.",
    cause: thrown,
  });
}

/** The vendor's particulars of an error made by `refusalOf`. */
export function vendorDetails(error: unknown): VendorDetails | null {
  if (!(error instanceof AppError) || typeof error.details !== "object" || error.details === null)
    return null;
  const details = error.details as Partial<VendorDetails>;
  return details.vendor === "vercel" && typeof details.status === "number"
    ? (details as VendorDetails)
    : null;
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
    const details = vendorDetails(error);
    if (details !== null && statuses.includes(details.status)) return instead;
    throw error;
  }
}

function codeFor(status: number): "not_found" | "upstream" | "unprocessable" {
  if (status === 404) return "not_found";
  return status === 408 || status === 429 || status >= 500 ? "upstream" : "unprocessable";
}

function hintFor(status: number): string {
  if (status === 401 || status === 403)
    return "Check SIGNALBOX_VERCEL_TOKEN, its scope, and SIGNALBOX_VERCEL_TEAM.";
  if (status === 402) return "The plan of this Vercel account does not include it, or its payment is due.";
  if (status === 404) return "It may have been deleted at the target; deploy again to make it anew.";
  if (status === 429) return "Wait for the rate limit to pass; Signalbox tries again by itself.";
  if (status >= 500) return "This is the platform's fault; Signalbox tries again by itself.";
  return "Correct what the message names, and deploy again.";
}

function unexplained(status: number): { code: string; message: string; missing?: string[] } {
  return { code: `http_${status}`, message: "no reason given" };
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
