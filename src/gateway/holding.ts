import { PAGES } from "./error-page.ts";
import type { Exchange } from "./exchange.ts";
import { fail } from "./forward.ts";
import { holdVerdict, partOfLimit, settleHeld } from "./hold.ts";
import type { Hold } from "./snapshot.ts";

/** The requests that wait for a hold to be lifted, in one worker. Their bodies stay unread: the client waits too. */
export type Holding = {
  /**
   * True when the exchange is dealt with: it waits, or it was refused. Then `resume` answers it once the hold is
   * lifted.
   */
  take(host: string, hold: Hold | null | undefined, exchange: Exchange, resume: () => void): boolean;
  /** To be called after each snapshot. */
  settle(): void;
  /** The worker is going: nobody may wait any more. */
  failAll(): void;
};

type Held = { readonly exchange: Exchange; readonly arrivedMs: number; readonly resume: () => void };
type Queue = { waiting: Held[]; timer: NodeJS.Timeout | null };

export function createHolding(deps: {
  clock: { now(): Date };
  workers: number;
  holdOf: (host: string) => Hold | null | undefined;
}): Holding {
  const queues = new Map<string, Queue>();
  const now = () => deps.clock.now().getTime();

  const settle = (host: string, queue: Queue) => {
    if (queue.timer !== null) clearTimeout(queue.timer);
    queue.timer = null;
    const nowMs = now();
    const arrivals = queue.waiting.map((held) => held.arrivedMs);
    const { failed, rest, nextMs } = settleHeld(deps.holdOf(host), arrivals, nowMs);
    const over = rest === "waiting" ? queue.waiting.splice(0, failed) : queue.waiting.splice(0);
    if (queue.waiting.length === 0) queues.delete(host);
    else if (nextMs !== null)
      queue.timer = setTimeout(() => settle(host, queue), Math.max(1, nextMs - nowMs));
    for (const held of over) {
      held.exchange.onGone = null;
      if (rest === "released") held.resume();
      else fail(held.exchange, PAGES.held);
    }
  };

  return {
    take(host, hold, exchange, resume) {
      const queue = queues.get(host) ?? { waiting: [], timer: null };
      const limit = hold ? partOfLimit(hold, deps.workers) : 0;
      const verdict = holdVerdict(hold, queue.waiting.length, limit, now());
      if (verdict === "pass") return false;
      if (verdict === "full") {
        fail(exchange, PAGES.held);
        return true;
      }
      const held = { exchange, arrivedMs: now(), resume };
      queue.waiting.push(held);
      exchange.onGone = () => {
        const at = queue.waiting.indexOf(held);
        if (at !== -1) queue.waiting.splice(at, 1);
      };
      queues.set(host, queue);
      if (queue.timer === null) settle(host, queue);
      return true;
    },
    settle() {
      for (const [host, queue] of [...queues]) settle(host, queue);
    },
    failAll() {
      for (const [host, queue] of [...queues]) {
        queues.delete(host);
        if (queue.timer !== null) clearTimeout(queue.timer);
        for (const held of queue.waiting.splice(0)) fail(held.exchange, PAGES.held);
      }
    },
  };
}
