import type { Clock } from "../../foundation/clock.ts";
import type { Log } from "../../foundation/log.ts";
import type { AppSpec, Runner } from "../run/run.ts";
import type { GatewayLink } from "../traffic/gateway-link.ts";
import type { TrafficState } from "../traffic/snapshot.ts";
import { wantedReleases } from "./wanted.ts";

/** Keeps the processes of wanted releases up and lets the others go once they are drained. */
export type Keeper = {
  /** Runs `work` with these releases up, and keeps them up meanwhile. Static ones always are. @throws AppError when one does not come up. */
  withUp<T>(deploymentIds: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Stops what is wanted no longer. Returns at once; one sweep at a time. */
  sweep(): void;
  /** After a start of the dock: adopts what runs, starts what should. */
  adopt(): Promise<void>;
  close(): void;
};

const START_TIMEOUT_MS = 60_000;
const DRAIN_TIMEOUT_MS = 30_000;
const DRAIN_POLL_MS = 250;

export function createKeeper(deps: {
  runner: Runner;
  link: GatewayLink;
  clock: Clock;
  log: Log;
  state: () => TrafficState;
  specOf: (deploymentId: string) => Promise<AppSpec>;
}): Keeper {
  const pins = new Map<string, number>();
  const retiring = new Map<string, Promise<void>>();
  /** Being killed now: a start must wait for its end. */
  const stopping = new Map<string, Promise<void>>();
  const closing = new AbortController();

  const isWanted = (id: string) => pins.has(id) || wantedReleases(deps.state(), deps.clock.now()).has(id);

  async function ensureUp(id: string): Promise<void> {
    if (!deps.state().releases.get(id)?.socket) return;
    await stopping.get(id);
    if (deps.runner.state(id).status === "up") return;
    await deps.runner.start(await deps.specOf(id), AbortSignal.timeout(START_TIMEOUT_MS));
  }

  function unpin(id: string): void {
    const left = (pins.get(id) ?? 1) - 1;
    if (left > 0) pins.set(id, left);
    else pins.delete(id);
  }

  /** Waits until the gateway has nothing in flight for it, then ends the process, unless it became wanted again. */
  async function retire(id: string): Promise<void> {
    const deadline = deps.clock.monotonicMs() + DRAIN_TIMEOUT_MS;
    while (deps.clock.monotonicMs() < deadline) {
      if (isWanted(id) || closing.signal.aborted) return;
      if (await drained(id)) break;
      await deps.clock.sleep(DRAIN_POLL_MS, closing.signal).catch(() => {});
    }
    if (isWanted(id) || closing.signal.aborted) return;
    const stopped = deps.runner.stop(id);
    stopping.set(id, stopped);
    await stopped.finally(() => stopping.delete(id));
    deps.log.info({ deploymentId: id }, "stopped a release that nothing points to");
  }

  async function drained(id: string): Promise<boolean> {
    try {
      return ((await deps.link.counters())[id]?.inFlight ?? 0) === 0;
    } catch {
      // No gateway answers: whether requests are in flight is not known, so the time decides.
      return false;
    }
  }

  return {
    async withUp(ids, work) {
      for (const id of ids) pins.set(id, (pins.get(id) ?? 0) + 1);
      try {
        for (const id of ids) await ensureUp(id);
        return await work();
      } finally {
        for (const id of ids) unpin(id);
      }
    },

    sweep() {
      if (closing.signal.aborted) return;
      const wanted = wantedReleases(deps.state(), deps.clock.now());
      for (const release of deps.state().releases.values()) {
        if (!release.socket || wanted.has(release.id) || pins.has(release.id) || retiring.has(release.id))
          continue;
        if (deps.runner.state(release.id).status === "stopped") continue;
        const done = retire(release.id)
          .catch((error) =>
            deps.log.error({ err: error, deploymentId: release.id }, "could not stop a release"),
          )
          .finally(() => retiring.delete(release.id));
        retiring.set(release.id, done);
      }
    },

    async adopt() {
      const specs: AppSpec[] = [];
      for (const id of wantedReleases(deps.state(), deps.clock.now())) {
        try {
          specs.push(await deps.specOf(id));
        } catch (error) {
          deps.log.error({ err: error, deploymentId: id }, "a release cannot be run again");
        }
      }
      await deps.runner.adopt(specs);
    },

    close: () => closing.abort(new Error("the dock is closing")),
  };
}
