import type { Readable } from "node:stream";

/** Environments as the API names them. */
export type EnvironmentName = "preview" | "staging" | "production";

export type TreeFile = {
  readonly path: string;
  readonly sha1: string;
  readonly size: number;
  readonly mode: number;
};

/** Where a deployment's traffic is decided: one project, one environment, and for previews one branch. */
export type Place = {
  /** The project's id at the target (`prj_…` on Vercel). */
  readonly targetProjectId: string;
  /** The project's name with us; host names are made of it. */
  readonly project: string;
  readonly environment: EnvironmentName;
  /** Null only where the source knows no branch. */
  readonly branch: string | null;
  /** The number of the pull request that a preview belongs to: it has that one's host. Null or absent: none. */
  readonly pullRequest?: number | null;
};

/** What `environments.<name>.vercel` of signalbox.yaml says of the project at the target. */
export type PlatformSettings = {
  /** Of a project that exists at Vercel. Absent: it is found, or made, by name. */
  readonly projectId?: string;
  readonly teamId?: string;
  /** Slug of the custom environment that `staging` is. Default: `staging`. */
  readonly environment?: string;
  /** `git`: the target fetches the commit itself, from the repository that its project is connected to. */
  readonly source: "files" | "git";
  /** False: a build that is forced starts without the target's build cache. */
  readonly keepCache: boolean;
  /** True: deployments that are not ours are held by a check until they are healthy. */
  readonly checks: boolean;
};

export type BuildInput = Place & {
  /** Idempotency key of the side effect: a second call with it returns the first build's id, never a second build. */
  readonly key: string;
  readonly files: readonly TreeFile[];
  readonly settings: {
    readonly framework?: string;
    readonly installCommand?: string;
    readonly buildCommand?: string;
    readonly outputDirectory?: string;
    readonly rootDirectory?: string;
    readonly startCommand?: string;
  };
  readonly env: Readonly<Record<string, string>>;
  readonly commit: { readonly sha: string | null; readonly message: string | null; readonly dirty: boolean };
  /** True: build again although the same tree was built before. */
  readonly force: boolean;
  readonly platform?: PlatformSettings;
};

export type TargetDeployment = {
  readonly id: string;
  readonly state: "queued" | "building" | "ready" | "error" | "canceled";
  /** Immutable URL of this deployment, with scheme. */
  readonly url: string;
  /** Set in `error`: the vendor's code and one sentence. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** True when an earlier artifact was reused and nothing was built. */
  readonly reused: boolean;
  /** When the build itself began, by the target's clock. */
  readonly buildStartedAt: Date | null;
  /** "server" when the release runs a process; "static" when it is files only. */
  readonly kind: "static" | "server" | "unknown";
};

export type TargetLogLine = {
  readonly at: Date;
  readonly stream: "stdout" | "stderr" | "command";
  readonly text: string;
};

/**
 * Share of the environment's traffic by target deployment id; whole percents that sum to 100, or empty when nothing
 * serves. A canary that only those see who ask for it is in it with 0.
 */
export type Traffic = Readonly<Record<string, number>>;

export type TrafficShift = {
  readonly place: Place;
  readonly from: string | null;
  readonly to: string;
  /** Whole percent. */
  readonly weight: number;
  readonly steps: readonly number[];
  readonly drainMs?: number;
};

/** A deployment in the target's list, as a watcher needs it. */
export type ListedDeployment = {
  readonly id: string;
  /** Ours: it carries an idempotency key. */
  readonly ours: boolean;
  readonly state: TargetDeployment["state"];
  readonly environment: "production" | "preview";
  readonly url: string;
  readonly createdAt: Date;
  readonly by: string | null;
  readonly commit: string | null;
  readonly branch: string | null;
  readonly error: string | null;
  readonly inspectorUrl: string | null;
};

/** What the target says of a project, whoever made it so. */
export type PlatformState = {
  /** Who holds production's domains; null: nobody does. */
  readonly production: string | null;
  /** The last promotion or rollback that the target knows of. */
  readonly lastMove: {
    readonly kind: "promote" | "rollback";
    readonly from: string | null;
    readonly to: string;
    readonly at: Date | null;
    readonly failed: boolean;
  } | null;
  /** New production builds do not take the domains by themselves, because somebody rolled back. */
  readonly pinned: boolean;
  /** Whether new production builds take the domains by themselves; null: the target does not say. */
  readonly autoAssign: boolean | null;
  /** What the team had it at before we changed anything; null: not known. */
  readonly teamAutoAssign: boolean | null;
  readonly rolling: { readonly canary: string; readonly percent: number } | null;
  readonly paused: boolean;
  /** The newest, newest first. */
  readonly deployments: readonly ListedDeployment[];
};

/** What our own health gate says of a deployment, for the check at the target. */
export type CheckVerdict = {
  readonly targetDeploymentId: string;
  readonly state: "running" | "succeeded" | "failed";
  readonly text: string;
  /** Where a reader finds more. */
  readonly detailsUrl: string | null;
};

/**
 * Port: what a target can tell of what others do there. Optional: a target that nobody else uses has none of it. Every
 * method throws as `Target` does.
 */
export type OutsideView = {
  inspect(place: Place, signal: AbortSignal): Promise<PlatformState>;
  /** Puts back what a change of ours that was interrupted has left behind. Nothing left: nothing is asked. */
  tidyUp(place: Place, signal: AbortSignal): Promise<void>;
  /** Makes the webhook that tells us, with a secret that is told once. `unsupported`: not with this target or plan. */
  createWebhook(
    input: { targetProjectIds: readonly string[]; url: string },
    signal: AbortSignal,
  ): Promise<{ id: string; secret: string } | "unsupported">;
  deleteWebhook(id: string, signal: AbortSignal): Promise<void>;
  /** Reports a verdict on a deployment to the check that holds its domains. */
  report(targetProjectId: string, verdict: CheckVerdict, signal: AbortSignal): Promise<void>;
  /** Lets new production builds take the domains by themselves again, as the team had it before a rollback. */
  unpin(place: Place, signal: AbortSignal): Promise<"done" | "not_pinned">;
};

/**
 * Port: where code is built and served. Implemented in `src/providers/target/`, one file each; every one passes
 * `test/contract/target.ts`. A method throws AppError: `upstream` for the vendor's fault (retry), `unprocessable` for
 * ours.
 */
export type Target = {
  readonly name: string;
  /** Resolves when the target answers and accepts our token; throws what is wrong otherwise. */
  ping(signal: AbortSignal): Promise<void>;
  /** Finds or makes the project, with its custom environment for staging and its check. Idempotent by name. */
  ensureProject(
    name: string,
    signal: AbortSignal,
    platform?: PlatformSettings,
  ): Promise<{ targetProjectId: string }>;
  /** Stores one file by digest. Idempotent. */
  upload(file: { sha1: string; size: number; body: Readable }, signal: AbortSignal): Promise<void>;
  /** Starts a build without giving it traffic. */
  build(
    input: BuildInput,
    signal: AbortSignal,
  ): Promise<{ kind: "accepted"; targetDeploymentId: string } | { kind: "missing_files"; missing: string[] }>;
  /** What the target says of it now. @throws AppError `not_found` when it has no such deployment. */
  observe(targetDeploymentId: string, signal: AbortSignal): Promise<TargetDeployment>;
  /** The build log from its beginning, followed until the build ends. */
  logs(targetDeploymentId: string, signal: AbortSignal): AsyncIterable<TargetLogLine>;
  /** Ends a build that is queued or running. Done already: no error. */
  cancel(targetDeploymentId: string, signal: AbortSignal): Promise<void>;
  /** The hosts that the place's traffic comes in by, without port; the first one is the main one. */
  hosts(place: Place): readonly string[];
  /** As `hosts`, with the domains that the project was given at the target. Asks it. */
  domains(place: Place, signal: AbortSignal): Promise<readonly string[]>;
  /** What a probe of a deployment's own address has to send along to be let in. Secret. Usually nothing. */
  probeHeaders(place: Place, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /**
   * How to meet the canary at a public URL while traffic is split, whatever share it has; null: the target has no such
   * way.
   */
  canaryAt(publicUrl: string): { readonly url: string } | null;
  /** What it can do for this project, as far as it is known before it is tried. */
  abilities(place: Place, signal: AbortSignal): Promise<{ split: boolean | "unknown"; hold: boolean }>;
  /** The URL that people use for a host, with scheme and port. */
  publicUrl(host: string): string;
  /** Who serves the place now, as observed at the target. */
  traffic(place: Place, signal: AbortSignal): Promise<Traffic>;
  /**
   * Gives `to` `weight` percent of the place's traffic, `from` the rest; 100 ends a split. `steps` is the whole plan,
   * ascending and ending in 100. Weight 0: only visitors who ask for the canary see it. Idempotent: a weight already
   * reached is done. `unsupported`: the target cannot split here.
   *
   * `drainMs`: visitors who hold the sticky cookie of a release keep it for so long after it lost the place, in this
   * shift to 100 and in later ones, until another value is given. 0: nobody is kept. Absent: as it was. A target that
   * cannot keep anybody ignores it.
   */
  shift(change: TrafficShift, signal: AbortSignal): Promise<"done" | "unsupported">;
  /** All traffic back to `to`, which has served this place before; ends a split. Never builds. Idempotent. */
  rollback(change: { place: Place; from: string; to: string }, signal: AbortSignal): Promise<void>;
  /**
   * Lets new requests to the place wait, `maxRequests` at most (1 to 10,000); more are answered 503. Resolves once none
   * gets through and those under way have ended, or 5 s have passed: `inFlight` are still under way. After `maxMs` (1
   * to 60,000) without `unhold` the hold ends by itself, whatever has died meanwhile: who still waits is answered 503,
   * who comes then passes. Again: the time begins anew. Probes of a deployment's own URL are never held. `unsupported`:
   * nothing is held.
   */
  hold(
    place: Place,
    limits: { readonly maxMs: number; readonly maxRequests: number },
    signal: AbortSignal,
  ): Promise<{ readonly inFlight: number } | "unsupported">;
  /** Lets the waiting requests go, in their order. Idempotent; nothing held, or no such ability: no error. */
  unhold(place: Place, signal: AbortSignal): Promise<void>;
  /**
   * Takes the place's hosts away: they answer nothing afterwards. Its deployments stay until they are retired.
   * Idempotent. @throws AppError `unprocessable` for production, which never has no host.
   */
  vacate(place: Place, signal: AbortSignal): Promise<void>;
  /** Lets a release go that will not be rolled back to: its process ends and its files may be collected. */
  retire(targetDeploymentId: string, signal: AbortSignal): Promise<void>;
};
