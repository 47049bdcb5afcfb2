/** The vocabulary of health: what is checked, what one look found, and what is said of it. Data only. */

/** Every kind of probe. Each is one file in `providers/probes/`. */
export const PROBE_TYPES = [
  "http",
  "tcp",
  "dns",
  "tls",
  "grpc",
  "websocket",
  "icmp",
  "postgres",
  "mysql",
  "mongodb",
  "redis",
  "rabbitmq",
  "bullmq",
  "pg-boss",
  "graphile-worker",
  "rabbitmq-queue",
  "browserbase",
  "cdp",
  "browserless",
  "selenium",
  "statuspage",
  "heartbeat",
  "docker",
  "command",
] as const;
export type ProbeType = (typeof PROBE_TYPES)[number];

/** Why an attempt failed, as far as it can be told apart; each has its own remedy at 3 a.m. */
export const FAILURE_CLASSES = [
  /** The name has no address, or no server could tell. */
  "dns",
  /** Nobody listens at the port. */
  "refused",
  /** No way to the host: no route, or the network is down. */
  "unreachable",
  /** The connection broke off before the answer was whole. */
  "reset",
  /** No connection, or no whole answer, in time; the message says which. */
  "timeout",
  /** No TLS with this peer, other than for its certificate. */
  "tls",
  /** The certificate is expired, not yet valid, of another name, or signed by nobody we trust. */
  "certificate",
  /** An answer with a status that was not asked for. */
  "status",
  /** An answer without what it must hold. */
  "assertion",
  /** What came is not of this protocol. */
  "protocol",
  /** It does not take our credentials. */
  "auth",
  /** It is up, and starting, stopping, or recovering. */
  "starting",
  /** It turned us away, being full: too many connections, rate limits, no memory. */
  "overloaded",
  /** Redirected too often, or in a circle. */
  "redirects",
  /** It works, and takes longer than its limit or its own habit. Only ever "degraded". */
  "slow",
  /** The answer is larger than a probe reads. */
  "too_large",
  /** A worker, a node or a beat that should be there is not. */
  "missing",
  /** The guard against private networks refused the address; nothing was asked. */
  "blocked",
  /** It cannot be asked from here at all: a program, a permission or a secret is missing. */
  "unsupported",
  /** A fault of our own. Says nothing of the service. */
  "fault",
] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

/** Classes that say nothing of the service: what they were given to is unknown, never down. */
export const NO_VERDICT: ReadonlySet<FailureClass> = new Set(["blocked", "unsupported", "fault"]);

export type Failure = {
  readonly class: FailureClass;
  /** One sentence with values and limits, without secrets. */
  readonly message: string;
};

/** Milliseconds from the attempt's start to the end of each phase's own work; absent where there is no such phase. */
export type Phases = {
  readonly dnsMs?: number;
  readonly connectMs?: number;
  readonly tlsMs?: number;
  /** From the request sent to the first byte of the answer. */
  readonly firstByteMs?: number;
  readonly transferMs?: number;
};

/** What a probe found. `degraded`: it works, and something about it is not as it should be. */
export type Outcome = {
  readonly status: "up" | "degraded" | "down";
  /** Of `degraded` and `down`. */
  readonly failure?: Failure;
  readonly phases?: Phases;
  /** Facts of the probe's own, with the unit in the name: `{ status: 200, replicationLagMs: 12 }`. */
  readonly observed?: Readonly<Record<string, string | number | boolean | null>>;
};

/** One look, on a fresh connection. */
export type Attempt = Outcome & {
  /** Wall clock, ms since the epoch. */
  readonly startedAt: number;
  /** By the monotonic clock. */
  readonly latencyMs: number;
  /** Our own event loop stood still meanwhile: the latency says nothing. Whether it works is still told truly. */
  readonly distorted?: boolean;
};

/**
 * One turn of a check at one location: an attempt, and those that were to confirm a failure. `attempts` in the order
 * of their starts; those still without an answer when the round ended are `timeout`.
 */
export type Round = {
  readonly checkId: string;
  readonly location: string;
  /** When it was due, and when it began: ms since the epoch. */
  readonly scheduledAt: number;
  readonly startedAt: number;
  /** By the monotonic clock. */
  readonly lateMs: number;
  /** When its last attempt ended. */
  readonly endedAt: number;
  /** None: the tick was missed. */
  readonly attempts: readonly Attempt[];
  /**
   * Why the round says nothing of the service. `lag`: our own event loop stood still meanwhile; `offline`: we
   * ourselves are cut off; `missed`: it did not take place; `busy`: the one before was still running.
   */
  readonly untrusted: "lag" | "offline" | "missed" | "busy" | null;
};

/** How results become a verdict. Durations in ms. */
export type Policy = {
  /** Default 30,000; at least 100. */
  readonly intervalMs: number;
  /** Default 5,000; at most the interval for what is shorter than a minute. */
  readonly timeoutMs: number;
  /** Consecutive failed attempts, re-checks included, until it is down. Default 3. */
  readonly failures: number;
  /** Consecutive good attempts until it is up again. Default 2. */
  readonly successes: number;
  /** Above this it is degraded. Null: no limit. */
  readonly degradedMs: number | null;
  /** Degraded where the latency leaves its own baseline, by this factor. Null: not looked at. Default null. */
  readonly baselineFactor: number | null;
  /** Failures within so long of a start (its own, a deployment's) are no verdict. Default 0. */
  readonly graceMs: number;
  /** Whether the readiness of its environment depends on it. */
  readonly critical: boolean;
  /** Higher goes first where not everything can be run in time. Critical checks: 10; others 0. */
  readonly priority: number;
  /** Where it is asked from. Default: `["local"]`. */
  readonly locations: readonly string[];
  /** Names of checks of the same environment; while one is down, this one's failure is no incident of its own. */
  readonly dependsOn: readonly string[];
  /** Changes of state within `flapWindowMs` (default 600,000) from which it counts as flapping. Default 4. 0: never. */
  readonly flapChanges: number;
  readonly flapWindowMs: number;
};

export const DEFAULT_POLICY: Policy = {
  intervalMs: 30_000,
  timeoutMs: 5_000,
  failures: 3,
  successes: 2,
  degradedMs: null,
  baselineFactor: null,
  graceMs: 0,
  critical: false,
  priority: 0,
  locations: ["local"],
  dependsOn: [],
  flapChanges: 4,
  flapWindowMs: 600_000,
};

/** The prober beside the control plane. */
export const LOCAL = "local";

/** A verdict older than this is stale: unknown. */
export function maxAgeMs({ intervalMs, timeoutMs }: Pick<Policy, "intervalMs" | "timeoutMs">): number {
  return 3 * intervalMs + timeoutMs;
}

/** Where a check comes from; what is not the API's follows the live deployment and cannot be changed by hand. */
export type CheckSource = "config" | "deployment" | "api";

/** A check as it is scheduled. `settings` hold secrets: they are never shown, logged or written unsealed. */
export type Check = {
  readonly id: string;
  readonly projectId: string;
  readonly environment: string;
  readonly name: string;
  readonly type: ProbeType;
  readonly source: CheckSource;
  readonly settings: unknown;
  readonly policy: Policy;
};

/** What one location says. Folded from its rounds; the raw samples stay beside it. */
export type LocationState = {
  readonly state: "up" | "degraded" | "down" | "unknown";
  /** Since when: the start of the first sample that said so, also where that was confirmed only later. */
  readonly since: number;
  /** Consecutive attempts, and when the first of them began. */
  readonly failures: number;
  readonly firstFailureAt: number | null;
  readonly successes: number;
  readonly firstSuccessAt: number | null;
  /** Of the last failed or degraded attempt; null once it is up. */
  readonly failure: Failure | null;
  /** End of the last round that counted, and the latency of its last attempt. Null: there was none yet. */
  readonly lastAt: number | null;
  readonly lastLatencyMs: number | null;
  /** Exponentially weighted mean and variance of the logarithm of good, trusted latencies. */
  readonly baseline: { readonly mean: number; readonly variance: number; readonly count: number } | null;
  /** Consecutive rounds that were slower than they should be, and when the first began. Absent: the last was not. */
  readonly slow?: { readonly rounds: number; readonly since: number };
  /** Failures before this are no verdict: it has only just begun to be asked. Absent: there is no such time. */
  readonly graceUntil?: number;
};

export type State = LocationState["state"];

/** What is shown of a check, derived from its locations and what is around it. */
export type Displayed = {
  readonly state: State;
  readonly since: number;
  readonly failure: Failure | null;
  /** Locations that say down, of those that report. */
  readonly down: readonly string[];
  readonly reporting: readonly string[];
  /** Some say down, and no majority of those that report: advice, not an incident. Since when. */
  readonly disputedSince: number | null;
  /** Goes up and down; shown as degraded until it holds still for the window. Since when. */
  readonly flappingSince: number | null;
  /** The check that is down and that this one depends on. */
  readonly suppressedBy: string | null;
  /** Recent changes of the state below the flapping: ms since the epoch, oldest first. */
  readonly changes: readonly number[];
  /** While it is flapping: what it really is, and since when. The spans, and so the uptime, are made of this. */
  readonly below?: { readonly state: State; readonly since: number };
  /** The window of maintenance that it is in. */
  readonly maintenance?: string;
};
