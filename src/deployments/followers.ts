import { type FollowDeps, followLogs } from "./follow-logs.ts";
import type { Deployment } from "./record.ts";
import { movingServices } from "./services.ts";

/** How long a failed build waits for the end of its log. */
const SETTLE_MS = 3_000;

export type Followers = {
  /** Copies the deployment's build log, unless that is done or under way here. */
  follow(deployment: Deployment): void;
  /** Resolves when the log is copied, or after a while. */
  settled(deployment: Deployment): Promise<void>;
  close(): Promise<void>;
};

/** The copiers of build logs in this process: at most one for each deployment. */
export function createFollowers(deps: FollowDeps): Followers {
  const running = new Map<string, Promise<void>>();
  const stop = new AbortController();
  return {
    follow(deployment) {
      const { id, services, logsComplete } = deployment;
      if (services.length === 0 || logsComplete || running.has(id) || stop.signal.aborted) return;
      // Only once all are asked for: then there is one answer to whether the log is complete.
      const builds = movingServices(deployment).flatMap(({ name, targetDeploymentId }) =>
        targetDeploymentId === null ? [] : [{ service: name, targetDeploymentId }],
      );
      if (builds.length < movingServices(deployment).length) return;
      // It stays in the map afterwards, so that a stale record does not start it again; one entry is small.
      running.set(
        id,
        followLogs(deps, id, builds, stop.signal).catch(() => {}),
      );
    },
    async settled({ id }) {
      const timeout = new AbortController();
      const late = deps.clock.sleep(SETTLE_MS, timeout.signal).catch(() => {});
      await Promise.race([running.get(id), late]);
      timeout.abort(new Error("settled"));
    },
    async close() {
      stop.abort(new Error("shutting down"));
      await Promise.all(running.values());
    },
  };
}
