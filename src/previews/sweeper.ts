import { messageOf } from "../foundation/errors.ts";
import { createRuns } from "../foundation/runs.ts";
import type { PreviewDeps } from "./deps.ts";
import { projectsWithPolicy } from "./queries.ts";
import { sweepPreviews } from "./sweep.ts";

export type Sweeper = {
  /** Sweeps a project now; one that is being swept is swept again afterwards. */
  wake(projectId: string): void;
  close(): Promise<void>;
};

export type SweeperOptions = {
  readonly everyMs?: number;
  /** 0 to 1, anew for each round: so that several control planes do not ask the host in step. */
  readonly jitter: () => number;
};

const EVERY_MS = 60_000;
/** Another control plane sweeps the project, perhaps from before what woke us. */
const BUSY_MS = 1_000;
const BUSY_TRIES = 60;

/** Sweeps every project with a policy each minute, and one at once when it is woken. */
export function startSweeper(deps: Omit<PreviewDeps, "wake">, options: SweeperOptions): Sweeper {
  const stop = new AbortController();
  const { signal } = stop;
  const everyMs = options.everyMs ?? EVERY_MS;

  const runs = createRuns((projectId) => sweepUntilDone(projectId, true), signal);
  const { wake } = runs;

  async function sweepUntilDone(projectId: string, insist: boolean): Promise<void> {
    try {
      for (let tries = 0; tries < (insist ? BUSY_TRIES : 1); tries++) {
        if ((await sweepPreviews({ ...deps, wake }, projectId, signal)) !== null) return;
        if (insist) await deps.clock.sleep(BUSY_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) {
        deps.log.warn(
          { projectId, reason: messageOf(error) },
          "previews could not be swept; tried again in a minute",
        );
      }
    }
  }

  async function rounds(): Promise<void> {
    while (!signal.aborted) {
      await deps.clock.sleep(everyMs * (0.8 + 0.4 * options.jitter()), signal);
      const projects = await projectsWithPolicy(deps.db).catch((error) => {
        deps.log.warn({ reason: messageOf(error) }, "the projects with previews could not be read");
        return [];
      });
      // One after the other: a host's rate limit is for all of them together.
      for (const { id } of projects) if (!runs.has(id)) await sweepUntilDone(id, false);
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
