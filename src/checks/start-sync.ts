import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { createRuns } from "../foundation/runs.ts";
import { retirePlace, rulesKey, type SyncDeps, syncChecks } from "./sync-checks.ts";
import { deserted, type LiveDeployment, unfollowed } from "./sync-queries.ts";

export type RunningSync = { close(): Promise<void> };

/** Two small reads of what has an index: a new release is checked within so long of being live. */
const EVERY_MS = 2_000;
/** What waits for a repository that does not answer must not wait forever. */
const READ_MS = 60_000;

/** Keeps the checks of every place those of what is live there, beside the other control planes. */
export function startCheckSync(
  deps: SyncDeps & { readonly log: Log },
  everyMs: number = EVERY_MS,
): RunningSync {
  const stop = new AbortController();
  const { signal } = stop;
  const due = new Map<string, LiveDeployment>();
  const runs = createRuns(async (key) => {
    const live = due.get(key);
    if (live === undefined) return;
    due.delete(key);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READ_MS)]);
    await syncChecks(deps, live, limit).catch((error) => warn(error, live.id));
  }, signal);

  function warn(error: unknown, deploymentId: string | null): void {
    if (signal.aborted) return;
    deps.log.warn(
      { deploymentId, reason: messageOf(error) },
      "checks could not follow what is live; tried again",
    );
  }

  async function round(): Promise<void> {
    for (const live of await unfollowed(deps.db, rulesKey(deps.rules), deps.clock.now())) {
      const key = `${live.projectId} ${live.slot}`;
      if (runs.has(key)) continue;
      due.set(key, live);
      runs.wake(key);
    }
    for (const place of await deserted(deps.db)) await retirePlace(deps, place);
  }

  async function rounds(): Promise<void> {
    while (!signal.aborted) {
      await round().catch((error) => warn(error, null));
      await deps.clock.sleep(everyMs, signal).catch(() => {});
    }
  }

  const ended = rounds();
  return {
    async close() {
      stop.abort(new Error("shutting down"));
      await Promise.all([ended, runs.allEnded()]);
    },
  };
}
