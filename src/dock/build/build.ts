import type { TreeFile } from "../store/store.ts";
import type { BuiltFunction } from "./functions.ts";
import type { CronJob } from "./output-config.ts";

/**
 * Vercel's project settings, the part that decides a build. Null or absent: detect.
 * Source: vercel.com/docs/rest-api, createDeployment.
 */
export type BuildSettings = {
  readonly framework?: string | null;
  readonly installCommand?: string | null;
  readonly buildCommand?: string | null;
  readonly outputDirectory?: string | null;
  readonly rootDirectory?: string | null;
};

/** Variables that nobody set: they say where and for what a build is made. */
export type SystemVariables = {
  /** The same for every deployment of a project to one target from one branch: a part of the artifact's key. */
  readonly fixed: Readonly<Record<string, string>>;
  /** This deployment's alone: its URL, its id, its commit. An artifact that has one in it is not reused. */
  readonly own: Readonly<Record<string, string>>;
};

export type BuildRequest = {
  /** The dock's deployment id; names the work directory and the log. */
  readonly deploymentId: string;
  /** Scope of the dependency and build cache. */
  readonly projectId: string;
  readonly files: readonly TreeFile[];
  readonly settings: BuildSettings;
  /**
   * Variables for the install and build commands: the only ones they get beside PATH, HOME, CI, the machine's proxy
   * and certificate settings. `SIGNALBOX_START_COMMAND` overrides `npm start` for server releases.
   */
  readonly env: Readonly<Record<string, string>>;
  /** `production`, `preview`, or a custom environment's slug; preview when absent. */
  readonly target?: string;
  /** What `vercel build` is told about the deployment, as Vercel's system environment variables name it. */
  readonly system?: SystemVariables;
  /** True: the tree holds `.vercel/output`, nothing is built. */
  readonly prebuilt: boolean;
  /** True: neither an earlier artifact nor the caches are used. */
  readonly force: boolean;
};

/** What a build leaves: immutable, shared by every deployment with the same key. */
export type Artifact = {
  /** SHA-256 of tree, settings, variables and builder version: the same inputs give the same key. */
  readonly key: string;
  /** Absolute path of the gateway's `Manifest`. */
  readonly manifest: string;
  readonly kind: "static" | "server";
  /** Slug of `@vercel/frameworks`, or null. */
  readonly framework: string | null;
  /** Null for a static release. `directory`: absolute, the built tree; `command`: run by `sh -c` in it. */
  readonly server: { readonly directory: string; readonly command: string } | null;
  /** Every digest in the content store that the manifest names, for garbage collection. */
  readonly digests: readonly string[];
  readonly sizeBytes: number;
  /** Of a Build Output: its functions (of very many the first 1,000) and its cron jobs. */
  readonly functions: readonly BuiltFunction[];
  readonly crons: readonly CronJob[];
};

export type BuildEvent = {
  readonly type: "command" | "stdout" | "stderr";
  readonly text: string;
  readonly at: Date;
};

export type BuildResult = { readonly artifact: Artifact; readonly reused: boolean };

/**
 * Why a build ended without an artifact. `code` is shown as Vercel's `errorCode`; `message` is one sentence for the
 * user.
 */
export type BuildFailureCode =
  | "BUILD_FAILED"
  | "BUILD_TIMEOUT"
  | "BUILD_OUT_OF_MEMORY"
  | "BUILD_OUTPUT_TOO_LARGE"
  | "BUILD_NO_OUTPUT"
  | "BUILD_INVALID_CONFIG"
  | "BUILD_CANCELED";

export type Builder = {
  /** The artifact of an earlier build with the same inputs, without building. Null: there is none, or `force`. */
  lookup(request: BuildRequest): Promise<Artifact | null>;
  /**
   * Builds, or reuses. Events arrive while they are produced, redacted of every value in `env` that is a secret by
   * name or 8 characters or longer. Aborting kills every process of the build, those that left the group too.
   * @throws BuildFailure
   */
  build(
    request: BuildRequest,
    options: { signal: AbortSignal; onEvent: (event: BuildEvent) => void },
  ): Promise<BuildResult>;
  /**
   * Removes artifacts not in `retainedKeys` and older than `olderThan`, caches over their limit, stray work
   * directories.
   */
  collect(retainedKeys: ReadonlySet<string>, olderThan: Date): Promise<{ removed: number; bytes: number }>;
};

export class BuildFailure extends Error {
  override readonly name = "BuildFailure";
  readonly code: BuildFailureCode;
  readonly hint: string | undefined;
  constructor(code: BuildFailureCode, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}
