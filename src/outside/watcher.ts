import { AppError, messageOf } from "../foundation/errors.ts";
import { createRuns } from "../foundation/runs.ts";
import type { OutsideDeps } from "./deps.ts";
import { look } from "./look.ts";
import { watchedProjects } from "./queries.ts";

export type Watcher = {
  /** Looks at a project now; one that is being looked at is looked at again afterwards. */
  wake(projectId: string): void;
  close(): Promise<void>;
};

export type WatcherOptions = {
  readonly everyMs?: number;
  /** 0 to 1, anew for each round: so that several control planes do not ask the target in step. */
  readonly jitter: () => number;
};

const EVERY_MS = 60_000;
/** A rate limit is kept, and yet not for so long that nobody would look for a day. */
const LONGEST_QUIET_MS = 15 * 60_000;
const AGAIN_MS = 2_000;
/** Another control plane looks, perhaps from before what woke us. */
const BUSY_MS = 500;
const BUSY_TRIES = 20;

/** Looks at every project with a production each minute, and at one at once when it is woken. */
export function startWatcher(deps: Omit<OutsideDeps, "wake">, options: WatcherOptions): Watcher {
  const stop = new AbortController();
  const { signal } = stop;
  let quietUntilMs = 0;
  const everyMs = options.everyMs ?? EVERY_MS;

  const runs = createRuns((projectId) => lookAtAll(projectId), signal);
  const { wake } = runs;

  async function lookAtAll(projectId: string): Promise<void> {
    try {
      for (const watched of await watchedProjects(deps.db, projectId)) {
        for (let tries = 0; tries < BUSY_TRIES; tries++) {
          const looked = await look({ ...deps, wake }, watched, signal);
          if (looked?.again)
            void deps.clock.sleep(AGAIN_MS, signal).then(
              () => wake(projectId),
              () => {},
            );
          if (looked !== null) break;
          await deps.clock.sleep(BUSY_MS, signal);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      quietUntilMs = Math.max(quietUntilMs, deps.clock.monotonicMs() + askedToWaitMs(error));
      deps.log.warn({ projectId, reason: messageOf(error) }, "what others did could not be looked at");
    }
  }

  async function rounds(): Promise<void> {
    while (!signal.aborted) {
      await deps.clock.sleep(everyMs * (0.8 + 0.4 * options.jitter()), signal);
      const all = await watchedProjects(deps.db).catch((error) => {
        deps.log.warn({ reason: messageOf(error) }, "the projects to look at could not be read");
        return [];
      });
      // One after the other: the target's rate limit is for all of them together.
      for (const id of new Set(all.map(({ projectId }) => projectId))) {
        const quietMs = quietUntilMs - deps.clock.monotonicMs();
        if (quietMs > 0) await deps.clock.sleep(quietMs, signal);
        wake(id);
        await runs.ended(id);
      }
    }
  }

  const ended = rounds().catch(() => {});
  return {
    wake,
    async close() {
      stop.abort(new Error("shutting down"));
      await Promise.all([ended, runs.allEnded()]);
    },
  };
}

/** Of a rate limit, which is for all projects together: a deployment must not go short for our looking on. */
function askedToWaitMs(error: unknown): number {
  if (!(error instanceof AppError) || error.code !== "rate_limited") return 0;
  const { retryAfterMs } = (error.details ?? {}) as { readonly retryAfterMs?: unknown };
  return Math.min(typeof retryAfterMs === "number" ? retryAfterMs : EVERY_MS, LONGEST_QUIET_MS);
}
