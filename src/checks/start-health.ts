import type { Clock } from "../foundation/clock.ts";
import { createDatabase, createPool } from "../foundation/db.ts";
import type { Log } from "../foundation/log.ts";
import { startNotifier } from "../foundation/notify.ts";
import { createHealth, type Health } from "../health/index.ts";
import { CHECK_STATE_CHANNEL, CHECKS_CHANNEL } from "./channels.ts";
import { type HealthBoard, keepHealth } from "./keep-health.ts";
import type { CheckTables } from "./tables.ts";

export type RunningHealth = {
  /** Of the control plane itself. */
  readonly own: Health;
  /** Of everything. */
  readonly board: HealthBoard;
  close(): Promise<void>;
};

const LIMITS = { intervalMs: 1_000, timeoutMs: 3_000, maxAgeMs: 10_000 };

/**
 * Starts to keep the answers under `/api/health`. It has connections of its own: a pool that other work has used up
 * would make every replica unready at once.
 */
export async function startHealth(
  databaseUrl: string,
  deps: { clock: Clock; log: Log; ping: (signal: AbortSignal) => Promise<unknown> },
): Promise<RunningHealth> {
  const { clock, log } = deps;
  const onError = (error: Error) => log.debug({ err: error }, "an idle connection to the database broke");
  const pool = createPool({ databaseUrl, applicationName: "signalbox-health", max: 2, onError });
  const own = createHealth({
    clock,
    checks: {
      database: { check: () => pool.query("select 1"), componentType: "datastore", ...LIMITS },
      target: { check: (signal) => deps.ping(signal), componentType: "component", ...LIMITS },
    },
  });
  const board = keepHealth({ db: createDatabase<CheckTables>(pool), clock, log, own });
  const channels = [CHECK_STATE_CHANNEL, CHECKS_CHANNEL];
  const notifier = await startNotifier({ databaseUrl, channels, clock, log });
  for (const channel of channels) notifier.listen(channel, board.wake, board.wake);
  return {
    own,
    board,
    async close() {
      own.close();
      await board.close();
      await notifier.close();
      await pool.end();
    },
  };
}
