import type { QueryResult, ServiceCounters } from "../rollouts/index.ts";
import type { EnvironmentName } from "../targets/target.ts";

export type ProbeResult = {
  /** True when the other side answered in time; whether its status is good is the reader's business. */
  readonly ok: boolean;
  /** Of an HTTP answer; null for the other kinds, and when there was none. */
  readonly status: number | null;
  readonly latencyMs: number;
  /** True: not even a connection came about, which says nothing of a release behind a gateway or an edge. */
  readonly unreachable?: boolean;
  /** Why there was no answer, or what was wrong with its body. */
  readonly error?: string;
  /** True: a wall before the release answered (a log-in, a password), which says nothing of the release. */
  readonly protected?: boolean;
  /** True: the platform has switched the whole project off, whatever its releases are like. */
  readonly paused?: boolean;
  /** `x-signalbox-deployment` of the answer, or the cookie of a rolling release: the release that gave it. */
  readonly deploymentHeader?: string;
};

export type ProbeRequest = {
  readonly type: "http" | "tcp" | "websocket";
  /** Of `tcp` only host and port count. */
  readonly url: string;
  readonly timeoutMs: number;
  /** Text that an HTTP body must have in it. */
  readonly contains?: string | null;
  /** The project whose users supplied the address: it is asked only where the guard allows it to that project. */
  readonly guardedFor?: string;
  /** Sent along. Secret: they are in no result. */
  readonly headers?: Readonly<Record<string, string>>;
};

/** Port: one probe from outside, on a fresh connection, following no redirect. What went wrong is in the result. */
export type Probe = (request: ProbeRequest, signal?: AbortSignal) => Promise<ProbeResult>;

/** A critical check of an environment that is down, beyond its own thresholds and re-checks. */
export type Unwell = {
  readonly name: string;
  /** `dependency`: a data store that any release needs. `service`: everything else, the releases included. */
  readonly of: "dependency" | "service";
  /** The first failed attempt, which may be before it was confirmed. */
  readonly since: Date;
  /** What it found, as the end of a sentence. */
  readonly message: string;
};

/** Port: what the prober says of an environment now. What it is not sure of, or is planned, is not among it. */
export type ReadUnwell = (deployment: {
  readonly id: string;
  readonly projectId: string;
  readonly environment: EnvironmentName;
}) => Promise<readonly Unwell[]>;

/** One service whose canary and baseline are to be read; ids of the target. */
export type CountersOf = {
  readonly service: string;
  readonly canary: string | null;
  readonly baseline: string | null;
};

/** Port: what is measured of the traffic, and of the rest of the world. */
export type Metrics = {
  /** Totals since the gateway started; null when it cannot be asked. */
  readCounters(services: readonly CountersOf[]): Promise<readonly ServiceCounters[] | null>;
  /** Requests of these releases that are under way, streams included; null when nobody can tell. */
  readInFlight(releases: readonly string[]): Promise<number | null>;
  /** One number from a project's metrics store. What went wrong there is in the result; our own faults are thrown. */
  query(
    query: { projectId: string; name: string; endpoint: string; query: string },
    signal: AbortSignal,
  ): Promise<QueryResult>;
};
