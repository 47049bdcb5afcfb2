import pg from "pg";
import type { Clock } from "../foundation/clock.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";

/** "dock" in ASCII. One dock a database: pointers are decided from memory, which only the one writer may do. */
const LOCK_KEY = 0x646f636b;

export type OwnerLock = { close(): Promise<void> };

/**
 * Takes the dock's advisory lock on a connection of its own and holds it. A connection that breaks (Postgres was
 * restarted) is made again; if another dock has taken the lock meanwhile, `onLost` is called.
 * @throws AppError `conflict` when another dock holds it.
 */
export async function takeOwnerLock(deps: {
  databaseUrl: string;
  clock: Clock;
  log: Log;
  onLost: (error: AppError) => void;
}): Promise<OwnerLock> {
  const closing = new AbortController();
  let client = await connect(deps.databaseUrl, lost);

  function lost(): void {
    if (closing.signal.aborted) return;
    deps.log.warn({}, "the connection that holds the dock's lock broke; taking the lock again");
    void retake();
  }

  async function retake(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        client = await connect(deps.databaseUrl, lost);
        return;
      } catch (error) {
        if (error instanceof AppError && error.code === "conflict") return deps.onLost(error);
        deps.log.warn({ reason: messageOf(error) }, "the dock's lock is not taken again yet");
        await deps.clock.sleep(500, closing.signal).catch(() => {});
      }
    }
  }

  return {
    async close() {
      closing.abort(new Error("the dock is closing"));
      await client.end().catch(() => {});
    },
  };
}

async function connect(databaseUrl: string, onEnd: () => void): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: "signalbox-dock-lock",
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  // "end" follows every error; without a listener an error would end the process.
  client.on("error", () => {});
  await client.connect();
  const result = await client.query<{ taken: boolean }>("select pg_try_advisory_lock($1) as taken", [
    LOCK_KEY,
  ]);
  if (result.rows[0]?.taken !== true) {
    await client.end();
    throw new AppError("conflict", "Another dock runs on this database.", {
      hint: "Stop it first, or give this one a database of its own (DATABASE_URL).",
    });
  }
  client.once("end", onEnd);
  return client;
}
