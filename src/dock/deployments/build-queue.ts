import type { Log } from "../../foundation/log.ts";

/** Work on deployments, first in first out, at most `concurrency` at once; each under its own abort signal. */
export type BuildQueue = {
  add(deploymentId: string): void;
  /** Runs this at once beside the queue, under the same cancellation (a reused artifact needs no build slot). */
  runNow(deploymentId: string, work: (signal: AbortSignal) => Promise<void>): Promise<void>;
  /** Takes it out of the line, or aborts it where it runs. */
  cancel(deploymentId: string): void;
  active(): number;
  waiting(): number;
  /** Runs `work` if nothing is built now; what is added meanwhile waits. False: it did not run. */
  whileIdle(work: () => Promise<void>): Promise<boolean>;
  /** True while `whileIdle` runs. */
  held(): boolean;
  /** Aborts everything with this reason and waits for it. */
  close(reason: Error): Promise<void>;
};

export function createBuildQueue(deps: {
  concurrency: number;
  log: Log;
  work: (deploymentId: string, signal: AbortSignal) => Promise<void>;
}): BuildQueue {
  const line: string[] = [];
  const running = new Map<string, { controller: AbortController; done: Promise<void> }>();
  let slots = deps.concurrency;
  let held = false;
  let closed = false;

  function run(id: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    // The same deployment may be in here again by then: from a look for an artifact into the line.
    const done = work(controller.signal).finally(() => {
      if (running.get(id) === entry) running.delete(id);
    });
    const entry = { controller, done };
    running.set(id, entry);
    return done;
  }

  function next(): void {
    while (slots > 0 && !held && !closed) {
      const id = line.shift();
      if (id === undefined) return;
      slots -= 1;
      run(id, (signal) => deps.work(id, signal))
        .catch((error) =>
          deps.log.error({ err: error, deploymentId: id }, "a build ended on a fault of ours"),
        )
        .finally(() => {
          slots += 1;
          next();
        });
    }
  }

  return {
    add(id) {
      line.push(id);
      next();
    },
    runNow: run,
    cancel(id) {
      const at = line.indexOf(id);
      if (at >= 0) line.splice(at, 1);
      running.get(id)?.controller.abort(new Error("canceled"));
    },
    active: () => running.size,
    waiting: () => line.length,
    held: () => held,
    async whileIdle(work) {
      if (held || running.size > 0) return false;
      held = true;
      try {
        await work();
      } finally {
        held = false;
        next();
      }
      return true;
    },
    async close(reason) {
      closed = true;
      for (const { controller } of running.values()) controller.abort(reason);
      await Promise.allSettled([...running.values()].map(({ done }) => done));
    },
  };
}
