import { type FailureClass, NO_VERDICT } from "../checks/index.ts";

/**
 * When much that has nothing to do with each other goes away at once, it is more likely that we did. For those without
 * canaries: more than half of at least five hosts, all up before, fail within one interval for reasons of the network.
 */
export type MassRule = {
  /** A round of a host has ended. True: do not believe it, we may be cut off. */
  seen(round: {
    host: string;
    wasUp: boolean;
    failure: FailureClass | null;
    now: number;
    windowMs: number;
  }): boolean;
};

/** What a cut-off prober sees. A status or a wrong body came over a working network. */
const CONNECTION_LIKE: ReadonlySet<FailureClass> = new Set(["dns", "unreachable", "timeout", "reset"]);
const HOSTS_MIN = 5;
const BELIEVED_AFTER_MS = 120_000;
const WINDOW_MIN_MS = 10_000;

type Host = { up: boolean; at: number; failedAt: number | null; windowMs: number };

export function isConnectionLike(failure: FailureClass | null): boolean {
  return failure !== null && CONNECTION_LIKE.has(failure);
}

export function createMassRule(): MassRule {
  const hosts = new Map<string, Host>();
  let since: number | null = null;

  function massFails(now: number): boolean {
    let up = 0;
    let failing = 0;
    for (const [name, host] of hosts) {
      if (now - host.at > 3 * host.windowMs) hosts.delete(name);
      else if (host.failedAt !== null && now - host.failedAt <= host.windowMs + BELIEVED_AFTER_MS) failing++;
      else if (host.up) up++;
    }
    return failing >= HOSTS_MIN && failing > up;
  }

  return {
    seen({ host, wasUp, failure, now, windowMs }) {
      const known = hosts.get(host);
      const window = Math.max(windowMs, WINDOW_MIN_MS);
      if (!isConnectionLike(failure)) {
        hosts.set(host, {
          up: failure === null || !NO_VERDICT.has(failure),
          at: now,
          failedAt: null,
          windowMs: window,
        });
        if (since !== null && !massFails(now)) since = null;
        return false;
      }
      const failedAt = known?.failedAt ?? (known?.up || wasUp ? now : null);
      hosts.set(host, { up: false, at: now, failedAt, windowMs: window });
      // Down for long before: it takes no part, and is believed.
      if (failedAt === null) return false;
      if (!massFails(now)) return false;
      since ??= now;
      return now - since <= BELIEVED_AFTER_MS;
    },
  };
}
