import type { FailoverPolicy, SwitchOptions } from "../failover/index.ts";
import type { SignalboxConfig } from "./config.ts";

type Production = NonNullable<NonNullable<SignalboxConfig["environments"]>["production"]>;
type Asked = Exclude<NonNullable<Production["failover"]>, string>;

const SECOND = 1_000;
const MINUTE = 60_000;

/**
 * Defaults: a minute of silence is longer than a failover of a vendor's own and shorter than most people's patience;
 * ten good minutes outlast the flapping at an outage's end; more than four switches a day are for a person to judge.
 */
export function failoverPolicy(asked: Asked): FailoverPolicy {
  const { probe = {}, away = {}, recovered = {} } = asked;
  const hostname = asked.hostname ?? null;
  return {
    to: "dock",
    hostname,
    url: hostname === null ? null : (asked.url ?? `https://${hostname}`),
    switch: switchOf(asked.switch),
    automatic: asked.automatic ?? false,
    probe: {
      intervalMs: probe.interval ?? 10 * SECOND,
      timeoutMs: probe.timeout ?? 5 * SECOND,
      primaryUrl: probe.primary ?? null,
      witnesses: probe.witnesses ?? [],
      statusPage: probe.status_page ?? null,
    },
    away: { failures: away.failures ?? 5, forMs: away.for ?? MINUTE },
    recovered: { successes: recovered.successes ?? 20, forMs: recovered.for ?? 10 * MINUTE },
    minIntervalMs: asked.min_interval ?? 10 * MINUTE,
    maxPerDay: asked.max_per_day ?? 4,
  };
}

function switchOf(asked: Asked["switch"]): SwitchOptions | null {
  if (asked?.webhook) return { kind: "webhook", url: asked.webhook.url };
  if (!asked?.cloudflare) return null;
  const { zone, primary, standby, ttl, proxied } = asked.cloudflare;
  return { kind: "cloudflare", zone, primary, standby, ttlS: ttl ?? 60, proxied: proxied ?? false };
}
