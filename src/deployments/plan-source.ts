import type { Strategy } from "../rollouts/index.ts";
import type { BuildInput, EnvironmentName } from "../targets/target.ts";

/** Where the code comes from: a tree that was sent to us by digest, or a git URL that we fetch ourselves. */
export type Source = { readonly tree: string } | { readonly git: string };

export type Commit = {
  readonly sha: string | null;
  readonly message: string | null;
  readonly dirty: boolean;
};

/** How a release is proven healthy, before and while it takes traffic. */
export type HealthPolicy = {
  readonly path: string;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** Healthy this long without a gap. Null: 10 s in production, 1 s elsewhere; 0 for static releases. */
  readonly minHealthyMs: number | null;
  /** Longest time from built to the beginning of the healthy period. */
  readonly deadlineMs: number;
  /** Lowest and highest status that counts as healthy. */
  readonly expectStatus: readonly [number, number];
};

export type PrepareInput = {
  readonly deploymentId: string;
  readonly project: string;
  readonly environment: EnvironmentName;
  readonly source: Source;
  readonly branch: string | null;
  /** What is known of the commit; a git source resolves the rest. */
  readonly commit: Commit;
};

/** Everything that the rest of a deployment needs to know, read from the very commit that is being deployed. */
export type Preparation = {
  readonly files: BuildInput["files"];
  readonly settings: BuildInput["settings"];
  readonly env: Readonly<Record<string, string>>;
  readonly strategy: Strategy;
  readonly health: HealthPolicy;
  readonly branch: string | null;
  readonly commit: Commit;
  /** The project's id at the target, which `prepare` makes sure exists. */
  readonly targetProjectId: string;
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
