import type { Round } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { type Connectivity, isLocalHost } from "./connectivity.ts";
import { isConnectionLike, type MassRule } from "./mass-rule.ts";

export type Trust = {
  /** An attempt has failed: whoever will be asked at the round's end is asked now, so that nothing waits for it. */
  doubt(host: string | null): void;
  /** The round as it may be believed: one that failed because we are cut off is `offline`. */
  weigh(
    round: Round,
    of: { host: string | null; wasDown: boolean; intervalMs: number },
  ): Promise<Round> | Round;
};

/** An answer of the canaries serves for this long where the verdict does not depend on it. */
const SERVES_MS = 5_000;

export function createTrust(deps: {
  clock: Pick<Clock, "monotonicMs">;
  connectivity: Connectivity;
  mass: MassRule;
}): Trust {
  const { clock, connectivity, mass } = deps;
  return {
    doubt(host) {
      if (!isLocalHost(host)) void connectivity.online(clock.monotonicMs() - SERVES_MS / 10);
    },
    weigh(round, { host, wasDown, intervalMs }) {
      const last = round.attempts.at(-1);
      if (host === null || isLocalHost(host) || !last || round.untrusted !== null) return round;
      const good = round.attempts.some(({ status }) => status !== "down");
      const failure = good ? null : (last.failure?.class ?? null);
      const now = clock.monotonicMs();
      const cutOff = mass.seen({ host, wasUp: !wasDown, failure, now, windowMs: intervalMs });
      if (!isConnectionLike(failure)) return round;
      const tookMs = round.endedAt - round.startedAt;
      return connectivity.online(wasDown ? now - SERVES_MS : now - tookMs).then((online) => {
        const offline = online === null ? cutOff : !online;
        return offline ? { ...round, untrusted: "offline" } : round;
      });
    },
  };
}
