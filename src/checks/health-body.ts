import type { HealthBody, ServiceBody } from "../health/index.ts";
import { maxAgeMs, type State } from "./model.ts";

/** What one line of the health answer is made of. */
export type HealthRow = {
  readonly project: string;
  readonly environment: string;
  readonly name: string;
  readonly critical: boolean;
  /** It is not asked: it calls us. */
  readonly calls: boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly state: State;
  readonly createdAt: Date;
  /** Of the newest sample of any location. Null: it was never asked. */
  readonly lastAt: Date | null;
  readonly lastLatencyMs: number | null;
};

/** A service, and whether the whole depends on it. */
export type Service = { readonly critical: boolean; readonly shown: ServiceBody };

/**
 * Pure. What has not been heard of for too long is down, whatever was said last: nobody knows better. What is only
 * unknown (just made, or its probe cannot tell) is degraded; so is what calls us and has not done so yet, for its first
 * call may be due tomorrow.
 */
export function serviceOf(row: HealthRow, now: number): Service {
  const isAwaited = row.calls && row.lastAt === null;
  const stale = !isAwaited && now - (row.lastAt ?? row.createdAt).getTime() > maxAgeMs(row);
  const known = row.state === "unknown" ? "degraded" : row.state;
  const latency = roundMs(row.lastLatencyMs);
  const lastCheck = row.lastAt === null ? null : row.lastAt.toISOString();
  return { critical: row.critical, shown: { status: stale ? "down" : known, latency, lastCheck } };
}

export function roundMs(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 100) / 100;
}

export function healthBody(services: ReadonlyMap<string, Service>, now: Date): HealthBody {
  return {
    status: overall(services.values()),
    timestamp: now.toISOString(),
    services: Object.fromEntries([...services].map(([name, { shown }]) => [name, shown])),
  };
}

function overall(services: Iterable<Service>): HealthBody["status"] {
  let all: HealthBody["status"] = "healthy";
  for (const { critical, shown } of services) {
    if (critical && shown.status === "down") return "unhealthy";
    if (shown.status !== "up") all = "degraded";
  }
  return all;
}

const PASS = { up: "pass", degraded: "warn", down: "fail" } as const;
const OVERALL = { healthy: "pass", degraded: "warn", unhealthy: "fail" } as const;

/** The same as `application/health+json`. Source: draft-inadarei-api-health-check-06, sections 3 and 4. */
export function asHealthJson({ status, services }: HealthBody): object {
  const checks = Object.entries(services).map(([name, { status, latency, lastCheck }]) => {
    const observed = latency === null ? {} : { observedValue: latency, observedUnit: "ms" };
    return [
      `${name}:responseTime`,
      [{ ...observed, status: PASS[status], ...(lastCheck && { time: lastCheck }) }],
    ];
  });
  return { status: OVERALL[status], checks: Object.fromEntries(checks) };
}
