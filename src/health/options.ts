import type { IncomingMessage, ServerResponse } from "node:http";

/** What a check may say beyond having worked. */
export type CheckResult = {
  /** `warn`: it works, and something about it is not as it should be. Default `pass`. */
  readonly status?: "pass" | "warn";
  /** Shown to those who may see details, when the status is `warn`. */
  readonly output?: string;
  /** Of `application/health+json`. Default: the latency, in ms. */
  readonly observedValue?: number | string;
  readonly observedUnit?: string;
};

export type CheckOptions = {
  /**
   * Looks once. Throwing means down. `signal` ends after `timeoutMs`: stop the work then, do not only stop waiting. The
   * next look begins when this one has ended.
   */
  readonly check: (signal: AbortSignal) => CheckResult | undefined | unknown | Promise<CheckResult | unknown>;
  /** Whether the app is unready without it. Default true. */
  readonly critical?: boolean;
  /** From the end of one look to the next. Default 5,000. */
  readonly intervalMs?: number;
  /** Default 2,000. */
  readonly timeoutMs?: number;
  /** A result older than this is stale, which is down. Default: three intervals and the timeout. */
  readonly maxAgeMs?: number;
  /** Of `application/health+json`: `datastore`, `component`, `system`. */
  readonly componentType?: string;
};

/** Whichever kind of server asks. */
export type HealthRequest = IncomingMessage | Request;

export type HealthOptions = {
  readonly checks: Readonly<Record<string, CheckOptions>>;
  /** Where the endpoints are: itself, `/ready` and `/live` under it. Default `/api/health`. */
  readonly path?: string;
  /**
   * Who may see what went wrong: messages may name hosts and users. Default: nobody. It is asked on every request, so
   * it has to be quick.
   */
  readonly details?: (request: HealthRequest) => boolean;
  /** Of `application/health+json`. */
  readonly version?: string;
  readonly releaseId?: string;
  readonly serviceId?: string;
  readonly description?: string;
  /** Not live when the event loop was later than this, five times in a row (5 s). Default 1,000. */
  readonly maxLagMs?: number;
  readonly clock?: HealthClock;
};

export type HealthClock = { now(): Date; monotonicMs(): number };

export type ServiceBody = {
  readonly status: "up" | "degraded" | "down";
  /** Of the last look, in ms. Null: there was none yet. */
  readonly latency: number | null;
  readonly lastCheck: string | null;
  /** With details, of what is not up. */
  readonly message?: string;
};

export type HealthBody = {
  /** `unhealthy`: a critical check is down; `degraded`: something else is not as it should be. */
  readonly status: "healthy" | "degraded" | "unhealthy";
  readonly timestamp: string;
  readonly services: Readonly<Record<string, ServiceBody>>;
};

export type Health = {
  /** For `node:http`. False: it is not one of the endpoints, and nothing was done. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** For web servers (Hono, Next.js route handlers). Null: it is not one of the endpoints. */
  fetch(request: Request): Response | null;
  /** For Express and Connect. */
  middleware(request: IncomingMessage, response: ServerResponse, next: () => void): void;
  /** Unready from now on: call it first when the process is asked to end, and close the server some seconds later. */
  drain(): void;
  /** Not live from now on: something is broken that only a restart mends. */
  fatal(reason: string): void;
  /** What is answered to everybody, for those who make answers of their own. */
  read(): HealthBody;
  /** Resolves once every check has been looked at. */
  checked(): Promise<void>;
  /** Ends the loops. */
  close(): void;
};
