import { messageOf } from "../../foundation/errors.ts";
import type { HeartbeatDeps } from "./deps.ts";
import { forgetListening, writeListening } from "./queries.ts";

const EVERY_MS = 1_000;
/** A break shorter than this may be a slow statement, and whoever sends beats tries again so long. */
export const UNHEARD_MS = 5_000;
/** Longer than any period: what was heard before says nothing of a deadline still to come. */
const KEPT_MS = 400 * 86_400_000;

/**
 * Says once a second that beats can be heard here: run by every process that serves the addresses. Where nobody says
 * so, silence is nobody's failure.
 */
export function keepListening(deps: HeartbeatDeps): { close(): Promise<void> } {
  const stopping = new AbortController();
  const loop = async () => {
    await forgetListening(deps.db, new Date(deps.clock.now().getTime() - KEPT_MS)).catch(() => {});
    while (!stopping.signal.aborted) {
      await sayListening(deps).catch((error) =>
        deps.log.warn({ err: messageOf(error) }, "heartbeats are not heard"),
      );
      await deps.clock.sleep(EVERY_MS, stopping.signal).catch(() => {});
    }
  };
  const running = loop();
  return {
    async close() {
      stopping.abort();
      await running;
    },
  };
}

export async function sayListening(deps: Pick<HeartbeatDeps, "db" | "clock">): Promise<void> {
  const now = deps.clock.now();
  await writeListening(deps.db, now, new Date(now.getTime() - UNHEARD_MS));
}
