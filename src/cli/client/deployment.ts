/** A deployment as the API tells it. Times are ISO 8601. */
export type Deployment = {
  readonly id: string;
  readonly project: string;
  readonly environment: string;
  readonly branch: string | null;
  readonly pullRequest?: number | null;
  readonly commit: string | null;
  readonly message: string | null;
  readonly dirty: boolean;
  readonly state: string;
  readonly reason: string | null;
  readonly hint: string | null;
  /** Its immutable address. `urls` are the environment's own, which move on to the next release. */
  readonly url: string | null;
  readonly urls: readonly string[];
  readonly targetDeploymentId: string | null;
  readonly strategy: unknown;
  /** Of an older control plane, these are not told. */
  readonly services?: readonly Service[];
  readonly rollout?: Rollout | null;
  readonly approvalDigest?: string | null;
  readonly problem?: string | null;
  /** What holds its work up, which is no failure. */
  readonly blocked?: {
    readonly by: string;
    readonly reason: string;
    readonly since: string;
    readonly until: string;
  } | null;
  /** Percent of the traffic, 0..100. */
  readonly weight: number | null;
  /** 0..1 */
  readonly progress: number;
  readonly reused: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly deadlineAt: string | null;
  readonly finishedAt: string | null;
  readonly phases: readonly Phase[];
  readonly rollbackOf: string | null;
  readonly actor: unknown;
};

export type Service = {
  readonly name: string;
  readonly url: string | null;
  readonly urls: readonly string[];
  readonly weight: number;
  /** It keeps the release that serves. */
  readonly unchanged: boolean;
};

export type Verdict = {
  readonly at: string;
  readonly weight: number;
  readonly name: string;
  readonly is: "pass" | "fail" | "inconclusive";
  readonly reason: string;
};

export type Rollout = {
  /** `bakeMs` is null where a person has to go on. */
  readonly stages: readonly { readonly weight: number; readonly bakeMs: number | null }[];
  readonly index: number;
  readonly paused: { readonly since: string; readonly by: string; readonly reason: string | null } | null;
  /** The newest last. */
  readonly verdicts: readonly Verdict[];
  readonly notes: readonly string[];
};

/** `durationMs` is null while the phase lasts. */
export type Phase = { readonly state: string; readonly at: string; readonly durationMs: number | null };

export type LogLine = {
  readonly seq: number;
  readonly at: string;
  readonly stream: string;
  readonly service?: string;
  readonly text: string;
};

const FAILED_STATES = new Set(["failed", "canceled", "rejected", "rolling_back", "rolled_back"]);
const SETTLED_STATES = new Set(["live", "failed", "canceled", "rejected", "superseded", "rolled_back"]);

/** Nothing more is to be awaited: it serves, or it never will. */
export function isSettled(deployment: Pick<Deployment, "state">): boolean {
  return SETTLED_STATES.has(deployment.state);
}

/** The address to give to people: the environment's own where it has one, else the immutable one. */
export function publicUrl(deployment: Pick<Deployment, "url" | "urls">): string | null {
  return deployment.urls[0] ?? deployment.url;
}

export function isFailed(state: string): boolean {
  return FAILED_STATES.has(state);
}

/** True when it served at some time, though a newer one may serve now. */
export function wasLive(deployment: Pick<Deployment, "phases" | "state">): boolean {
  return deployment.state === "live" || deployment.phases.some((phase) => phase.state === "live");
}

/** Who started it, as one word. */
export function actorName(actor: unknown): string {
  if (typeof actor === "string") return actor;
  const fields = (actor ?? {}) as Record<string, unknown>;
  for (const field of ["name", "email", "label", "id", "kind"]) {
    if (typeof fields[field] === "string") return fields[field];
  }
  return "";
}

export function statusPath(id: string): string {
  return `/api/deploy/status/${encodeURIComponent(id)}`;
}

/** `/api/deploy/list` with the filters that are set. */
export function listPath(filters: Readonly<Record<string, string | number | null>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) if (value !== null) query.set(name, String(value));
  return `/api/deploy/list?${query}`;
}
