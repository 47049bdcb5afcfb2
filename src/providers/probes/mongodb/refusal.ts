import type { Failure } from "../../../checks/model.ts";
import { errorCodeOf } from "../../../foundation/errors.ts";
import { GuardError } from "../../../foundation/guarded-connect.ts";
import { connectionFailure } from "../connection-failure.ts";

/** Source: error_codes.yml of MongoDB. */
const REFUSALS: Readonly<Record<number, readonly [Failure["class"], string]>> = {
  11: ["auth", "has no such user"],
  18: ["auth", "does not take this user and password"],
  91: ["starting", "is shutting down"],
  189: ["starting", "is stepping down from being primary"],
  11600: ["starting", "is shutting down"],
  11602: ["starting", "changes its role in the set"],
  13436: ["starting", "is recovering"],
};

export const UNAUTHORIZED = 13;

/** What a server says no with. Its text is not repeated: it may name what was asked. */
export function refusal(
  where: string,
  { code, codeName }: { readonly code?: unknown; readonly codeName?: unknown },
): Failure {
  const known = typeof code === "number" ? REFUSALS[code] : undefined;
  if (known !== undefined) return { class: known[0], message: `${where} ${known[1]}.` };
  return { class: "status", message: `${where} answers with the error ${String(codeName ?? code)}.` };
}

/** Of what the driver throws: its own errors wrap those of the system. */
export function driverFailure(error: unknown, where: string): Failure {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (cause.name === "MongoServerError") return refusal(where, cause as Error & { code?: unknown });
    const isSystems = typeof errorCodeOf(cause) === "string" && !cause.name.startsWith("Mongo");
    if (isSystems || cause instanceof GuardError) return connectionFailure(cause, where, "open");
  }
  const isNetwork = error instanceof Error && /^Mongo(Network|ServerSelection|PoolCleared)/.test(error.name);
  if (isNetwork) return { class: "reset", message: `${where} closed the connection.` };
  return connectionFailure(error, where, "open");
}
