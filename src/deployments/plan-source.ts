import type { FailoverPolicy } from "../failover/index.ts";
import type { GatePolicy } from "../gates/index.ts";
import type { Strategy } from "../rollouts/index.ts";
import type { BuildInput, EnvironmentName, PlatformSettings } from "../targets/target.ts";

/** Where the code comes from: a tree that was sent to us by digest, or a git URL that we fetch ourselves. */
export type Source = { readonly tree: string } | { readonly git: string };

export type Commit = {
  readonly sha: string | null;
  readonly message: string | null;
  readonly dirty: boolean;
};

/** One kind of probe. */
export type HealthCheck =
  | {
      readonly type: "http";
      readonly path: string;
      /** Lowest and highest status that counts as healthy. */
      readonly expectStatus: readonly [number, number];
      /** Text that the body must have in it; null: any body. */
      readonly contains: string | null;
    }
  | { readonly type: "tcp" }
  | { readonly type: "websocket"; readonly path: string };

/** How a release is proven healthy, before and while it takes traffic. */
export type HealthPolicy = {
  /** All of them must be good. The first one is also asked at the public host. */
  readonly checks: readonly HealthCheck[];
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** Healthy this long without a gap. Null: 10 s in production, 1 s elsewhere; 0 for static releases. */
  readonly minHealthyMs: number | null;
  /** Failed probes say nothing for this long after the build was ready. */
  readonly graceMs: number;
  /** Longest time, after the grace period, to the beginning of the healthy period. */
  readonly deadlineMs: number;
};

/** What a deployment does to the application's database. File names in the order in which they are applied. */
export type SchemaChange = {
  readonly expand: readonly string[];
  readonly contract: readonly string[];
  readonly timeoutMs: number;
  /** Requests are held while `expand` runs; null: they are not. */
  readonly hold: { readonly maxMs: number; readonly maxRequests: number } | null;
};

/** What is decided for a whole deployment, from its own commit's configuration. */
export type Plan = {
  readonly strategy: Strategy;
  readonly gate: GatePolicy;
  readonly schema: SchemaChange | null;
  /** From its start to being live, waits for people left out; null: the states' own deadlines are enough. */
  readonly progressDeadlineMs: number | null;
  /** How long after it went live the release before is one to go back to. */
  readonly rollbackWindowMs: number;
  /** A rollback by hand goes back by the canary's weights instead of at once. */
  readonly steppedRollback: boolean;
  /** So long after it went live a critical check that goes down takes it back by itself. Absent or 0: never. */
  readonly watchMs?: number;
  /** How long visitors of the former release may stay on it after a whole shift. */
  readonly drainMs: number;
  /** A second place is kept ready for when the target is away. Absent or null: none. */
  readonly failover?: FailoverPolicy | null;
};

/** One of the things that are deployed together. */
export type ServicePreparation = {
  readonly name: string;
  /** The project's name at the target; its hosts are made of it. */
  readonly targetProject: string;
  /** The project's id at the target, which `prepare` makes sure exists. */
  readonly targetProjectId: string;
  readonly settings: BuildInput["settings"];
  /** What the configuration says of the project at the target. */
  readonly platform?: PlatformSettings;
  readonly env: Readonly<Record<string, string>>;
  readonly health: HealthPolicy;
  /** Digest of all that its build depends on: the same inputs make the same release. */
  readonly inputs: string;
};

export type PrepareInput = {
  readonly deploymentId: string;
  readonly project: string;
  readonly environment: EnvironmentName;
  readonly source: Source;
  readonly branch: string | null;
  readonly pullRequest: number | null;
  /** What is known of the commit; a git source resolves the rest. */
  readonly commit: Commit;
};

/** Everything that the rest of a deployment needs to know, read from the very commit that is being deployed. */
export type Preparation = {
  readonly files: BuildInput["files"];
  /** In the order in which traffic moves; the last one is what visitors open. At least one. */
  readonly services: readonly ServicePreparation[];
  readonly plan: Plan;
  readonly branch: string | null;
  readonly commit: Commit;
};

/**
 * Port: turns what was asked for into what to build: resolves the ref, fetches the tree, reads `signalbox.yaml` for
 * the environment, makes sure that the target has the project and, for git sources, the files. Called again after a
 * crash, and with the same answer: it must be idempotent. @throws AppError `unprocessable`, `not_found` or
 * `bad_request` for the user's mistakes (the deployment fails with that message and hint), anything else is retried.
 */
export type Prepare = (input: PrepareInput, signal: AbortSignal) => Promise<Preparation>;

/**
 * Port: the target says that it lacks files which it had. Sends them again where we can get at them (git), and throws
 * AppError `unprocessable` that says what to do where only the user has them.
 */
export type Resupply = (
  input: PrepareInput,
  missing: readonly string[],
  signal: AbortSignal,
) => Promise<void>;

/**
 * Port: refuses, at once and in the request, a source that cannot be what the caller means: a tree that was never sent.
 * @throws AppError `not_found`. What needs the network (a git ref) is found out in `preparing`.
 */
export type RequireSource = (projectId: string, source: Source) => Promise<void>;

export type Phase = "expand" | "contract";

/**
 * Port: applies what is pending of one phase to the application's database. Idempotent: what was applied is on record
 * there. @throws AppError `unprocessable` for the user's SQL, anything else is retried.
 */
export type MigrateSchema = (
  input: PrepareInput & { readonly projectId: string; readonly phase: Phase; readonly key: string },
  signal: AbortSignal,
) => Promise<{ readonly applied: readonly string[]; readonly version: string | null }>;
