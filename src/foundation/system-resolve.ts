import { lookup } from "node:dns/promises";
import { type Clock, systemClock } from "./clock.ts";

/**
 * The operating system's resolver: /etc/hosts, search domains and all, as every program of this machine has it. Each
 * question takes one of the few threads that the process has (libuv: 4) until the name servers have answered or were
 * given up, which may take half a minute: a handful of names whose servers are dead would let nobody else's be looked
 * up. So names that were slow wait for each other, in two places of their own, and are asked for once at a time.
 */
export type AskSystem = (name: string) => Promise<readonly { readonly address: string }[]>;

/** Name servers that answer do so sooner; a lost packet costs the resolver 5 s. */
const SLOW_MS = 1_000;
const SLOW_AT_ONCE = 2;
/** So many are told apart; with more the oldest is asked like any other. */
const SLOW_KEPT = 1_000;

export function createSystemResolve(ask: AskSystem, clock: Pick<Clock, "monotonicMs">) {
  /** The oldest question under way of each name: when it was asked, and how many there are. */
  const asking = new Map<string, { since: number; count: number }>();
  const slow = new Map<string, Promise<string[]> | null>();
  const waiting: (() => void)[] = [];
  let running = 0;

  async function timed(name: string): Promise<string[]> {
    const since = clock.monotonicMs();
    const others = asking.get(name) ?? { since, count: 0 };
    others.count++;
    asking.set(name, others);
    try {
      return (await ask(name)).map(({ address }) => address);
    } finally {
      others.count--;
      if (others.count === 0) asking.delete(name);
      if (clock.monotonicMs() - since < SLOW_MS) slow.delete(name);
      else remember(name);
    }
  }

  function remember(name: string): void {
    if (!slow.has(name)) slow.set(name, null);
    const [oldest] = slow.keys();
    if (slow.size > SLOW_KEPT && oldest !== undefined) slow.delete(oldest);
  }

  async function inPlace(name: string): Promise<string[]> {
    if (running === SLOW_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await timed(name);
    } finally {
      // The place goes on to who waits for one.
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  }

  return (name: string): Promise<string[]> => {
    const others = asking.get(name);
    if (others && clock.monotonicMs() - others.since >= SLOW_MS) remember(name);
    if (!slow.has(name)) return timed(name);
    const same = slow.get(name);
    if (same) return same;
    const answer = inPlace(name).finally(() => {
      if (slow.get(name) === answer) slow.set(name, null);
    });
    slow.set(name, answer);
    return answer;
  };
}

export const systemResolve = createSystemResolve(
  (name) => lookup(name, { all: true, verbatim: true }),
  systemClock,
);
