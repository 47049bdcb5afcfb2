import type { Dock } from "../dock.ts";
import { collectGarbage } from "./collect.ts";

const SWEEP_MS = 60_000;
const COLLECT_MS = 60 * 60_000;

/** Once a minute stops what is wanted no longer; once an hour collects garbage, as soon as nothing is built. */
export function startUpkeep(dock: Dock, undo: AsyncDisposableStack): void {
  const closing = new AbortController();
  undo.defer(() => closing.abort(new Error("the dock is closing")));
  let collectedAt = dock.clock.monotonicMs();
  const run = async () => {
    while (!closing.signal.aborted) {
      await dock.clock.sleep(SWEEP_MS, closing.signal).catch(() => {});
      if (closing.signal.aborted) return;
      dock.keeper.sweep();
      if (dock.clock.monotonicMs() - collectedAt < COLLECT_MS) continue;
      try {
        if (await collectGarbage(dock)) collectedAt = dock.clock.monotonicMs();
      } catch (error) {
        dock.log.error({ err: error }, "garbage could not be collected");
      }
    }
  };
  void run();
}
