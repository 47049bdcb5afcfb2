import { AppError, messageOf } from "../../foundation/errors.ts";

type Failure = {
  readonly status?: number;
  readonly cause?: unknown;
  readonly response?: { readonly headers: Readonly<Record<string, unknown>> };
};

/** Until when GitHub wants to be left alone; null: the failure is of another kind. Source: GitHub, "Rate limits". */
export function rateLimitedUntil(thrown: unknown, now: Date): Date | null {
  const { status, response } = thrown as Failure;
  if (status !== 403 && status !== 429) return null;
  const header = (name: string) => Number(response?.headers[name] ?? Number.NaN);
  if (header("retry-after") > 0) return new Date(now.getTime() + header("retry-after") * 1_000);
  if (header("x-ratelimit-remaining") === 0 && header("x-ratelimit-reset") > 0)
    return new Date(header("x-ratelimit-reset") * 1_000);
  // Without either header: "wait for at least one minute".
  return status === 429 ? new Date(now.getTime() + 60_000) : null;
}

export function rateLimited(until: Date): AppError {
  return new AppError("upstream", `GitHub's rate limit is used up until ${until.toISOString()}.`, {
    hint: "Nothing changes until then. A token has a limit of its own; without one it is shared by address.",
    details: { until: until.toISOString() },
  });
}

/** GitHub's answer, or its silence, as a sentence with a way out. Our own errors pass through. */
export function explain(thrown: unknown, repository: string): unknown {
  if (thrown instanceof AppError) return thrown;
  const { status, response } = thrown as Failure;
  // Octokit gives a connection that failed status 500 and no response.
  if (response === undefined || status === undefined) {
    return new AppError("upstream", `GitHub could not be reached: ${messageOf(thrown)}.`, {
      hint: "Nothing changes until it answers; Signalbox tries again by itself.",
      cause: thrown,
    });
  }
  if (status === 401) {
    return new AppError("unprocessable", "GitHub does not accept the token.", {
      hint: "It may have expired: give the control plane another one.",
    });
  }
  if (status === 403) {
    return new AppError(
      "unprocessable",
      `The token may not do this at ${repository}: ${messageOf(thrown)}.`,
      {
        hint: "It needs to read pull requests; with commentUrl, also to write commit statuses and pull requests.",
      },
    );
  }
  if (status === 404) {
    return new AppError("not_found", `GitHub shows no ${repository} to this token.`, {
      hint: "Check the name; a private repository needs a token that may read it.",
    });
  }
  return new AppError("upstream", `GitHub answered ${status} about ${repository}.`, {
    hint: "Nothing changes until it answers; Signalbox tries again by itself.",
    cause: thrown,
  });
}

/** An answer that is cut off or no JSON, which octokit hands on as text. */
export function unreadable(what: string, repository: string): AppError {
  return new AppError("upstream", `GitHub's answer with ${what} of ${repository} cannot be read.`, {
    hint: "It may have been cut off on its way; Signalbox tries again by itself.",
  });
}
