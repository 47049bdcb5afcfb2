import type { Clock } from "../../foundation/clock.ts";
import { errorCodeOf } from "../../foundation/errors.ts";
import type { Api } from "./api.ts";
import { ApiError, isTransient } from "./api-error.ts";

export type Trigger = {
  readonly project: string;
  readonly environment: string;
  readonly branch?: string;
  readonly pullRequest?: number;
  readonly commit?: string;
  readonly message?: string;
  readonly dirty?: boolean;
  readonly source: { readonly tree: string } | { readonly git: string };
  readonly force?: boolean;
};

export type Triggered = {
  readonly deploymentId: string;
  readonly project: string;
  readonly environment: string;
  readonly state: string;
  readonly statusUrl: string;
};

const ATTEMPTS = 8;

/**
 * Sends a mutation that must happen once. When the connection breaks before the answer, the same key asks again
 * and gets the first answer, whether or not the first request had arrived.
 */
export async function postOnce<T>(
  api: Api,
  clock: Clock,
  path: string,
  body: unknown,
  key: string,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await api.post<T>(path, body, { headers: { "idempotency-key": key } });
    } catch (error) {
      // "In flight" after a lost answer is our own first request, still being worked on.
      const ownInFlight = tried > 1 && error instanceof ApiError && error.code === "in_flight";
      const passes = isTransient(error) && (tried > 1 || !isAbsent(error));
      if (tried >= ATTEMPTS || !(ownInFlight || passes)) throw error;
      await clock.sleep(Math.min(3_000, 250 * 2 ** (tried - 1)));
    }
  }
}

/** Nothing listens there: at the first try, that is for the user to hear at once. */
function isAbsent(error: unknown): boolean {
  const code = error instanceof ApiError ? errorCodeOf(error.cause) : undefined;
  return code === "ECONNREFUSED" || code === "ENOTFOUND";
}
