import pg from "pg";
import type { Clock } from "./clock.ts";
import { AppError, errorCodeOf, messageOf } from "./errors.ts";

/** What a Postgres that is starting, stopping or not there yet answers. Source: PostgreSQL manual, appendix A. */
const NOT_YET = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "57P01",
  "57P03",
]);
const PATIENCE_MS = 60_000;
const PAUSE_MS = 50;

/**
 * Resolves once the database takes connections. A process that starts beside a restarting Postgres waits for it here,
 * instead of dying and being started again later and later.
 * @throws AppError `unavailable` after a minute, or at once for what waiting does not mend (a wrong password).
 */
export async function awaitDatabase(deps: { clock: Clock }, databaseUrl: string): Promise<void> {
  const deadline = deps.clock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
    client.on("error", () => {});
    try {
      await client.connect();
      return;
    } catch (error) {
      if (!NOT_YET.has(errorCodeOf(error) ?? "") || deps.clock.monotonicMs() > deadline)
        throw unreachable(error);
      await deps.clock.sleep(PAUSE_MS);
    } finally {
      await client.end().catch(() => {});
    }
  }
}

function unreachable(cause: unknown): AppError {
  return new AppError("unavailable", `The database cannot be reached: ${messageOf(cause)}.`, {
    hint: "Check DATABASE_URL and that its PostgreSQL (15 or newer) runs.",
    cause,
  });
}
