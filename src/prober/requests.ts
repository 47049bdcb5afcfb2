import type { Round } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import type { OpenRequest } from "./queries.ts";
import type { Timeline } from "./timeline.ts";

export type RequestDeps = {
  readonly clock: Clock;
  readonly log: Log;
  /** The time that rounds are dated by, which may be up to a second beside the clock's. */
  readonly timeline: Pick<Timeline, "now">;
  read(since: Date): Promise<readonly OpenRequest[]>;
  answer(ids: readonly string[], round: Round): Promise<void>;
  /** Begins a round now, or after the one under way. False: the check is not ours. */
  ask(checkId: string): boolean;
};

export type Requests = {
  /** Somebody asked. */
  look(): void;
  /** A round that began after `look`. */
  onRound(checkId: string, round: Round): void;
};

/** Nobody waits longer. */
const OPEN_MS = 120_000;

/** "Run it now": whoever holds the check answers with its next round. */
export function answerRequests(deps: RequestDeps): Requests {
  const open = new Map<string, { ids: Set<string>; since: number }>();

  async function look(): Promise<void> {
    const since = Math.floor(deps.timeline.now());
    const asked = new Date(deps.clock.now().getTime() - OPEN_MS);
    for (const { id, checkId } of await deps.read(asked)) {
      const known = open.get(checkId);
      if (known?.ids.has(id) || !deps.ask(checkId)) continue;
      if (known) known.ids.add(id);
      else open.set(checkId, { ids: new Set([id]), since });
    }
  }

  return {
    look: () =>
      void look().catch((error) => deps.log.warn({ reason: messageOf(error) }, "requests cannot be read")),
    onRound(checkId, round) {
      const asked = open.get(checkId);
      // The round that was under way when somebody asked is not what was asked for.
      if (!asked || round.startedAt < asked.since || round.untrusted === "busy") return;
      open.delete(checkId);
      deps
        .answer([...asked.ids], round)
        .catch((error) => deps.log.warn({ checkId, reason: messageOf(error) }, "a request got no answer"));
    },
  };
}
