/** One service of a deployment, as the dock has it. */
export type StandbyRelease = {
  readonly service: string;
  /** The project's name and id at the dock. */
  readonly targetProject: string;
  readonly targetProjectId: string;
  readonly targetDeploymentId: string;
  /** Its own address, past all hosts; null until it is built. */
  readonly url: string | null;
};

export type Standby = {
  readonly projectId: string;
  readonly environment: string;
  /** What it is to mirror. */
  readonly deploymentId: string;
  /** Part of the keys of its builds: another one builds anew. */
  readonly generation: number;
  readonly releases: readonly StandbyRelease[];
  /** Failed tries in a row. */
  readonly attempts: number;
  readonly error: string | null;
  /** What its hosts show. */
  readonly mirroredId: string | null;
  readonly mirrored: readonly StandbyRelease[];
  readonly mirroredAt: Date | null;
  readonly answeringSince: Date | null;
  readonly failures: number;
  readonly checkedAt: Date | null;
  readonly missingVariables: readonly string[];
  readonly warning: string | null;
};

export type StandbyStep =
  /** Another deployment is live: begin with that one. */
  | { readonly do: "begin" }
  | { readonly do: "build" }
  /** Look at the builds, and at what is built: when it answers, its hosts show it. */
  | { readonly do: "look" }
  /** It mirrors what is live: does it answer? */
  | { readonly do: "check" };

/** The next thing to do, from what is written down: whoever comes after a crash does the same. Pure. */
export function nextStep(standby: Standby, liveId: string): StandbyStep {
  if (standby.deploymentId !== liveId) return { do: "begin" };
  if (standby.mirroredId === liveId) return { do: "check" };
  return standby.releases.length === 0 ? { do: "build" } : { do: "look" };
}

export type StandbyState = "ready" | "preparing" | "stale" | "failed";

/** A check that fails once may be a hiccup; after so many the standby does not answer. */
const FAILURES_UNTIL_DOWN = 2;

/**
 * `ready`: it mirrors what is live and answers. `stale`: it shows an earlier release. `preparing`: it shows none yet.
 * `failed`: it shows none and cannot be made, or does not answer. Pure.
 */
export function stateOf(
  standby: Standby | null,
  liveId: string,
): { state: StandbyState; reason: string | null } {
  if (standby === null) return { state: "preparing", reason: null };
  if (standby.mirroredId === liveId) {
    if (standby.answeringSince !== null) return { state: "ready", reason: null };
    return { state: "failed", reason: standby.error ?? "It does not answer its health check." };
  }
  if (standby.mirroredId !== null) {
    const reason = standby.error ?? `${liveId} is being made ready.`;
    return { state: "stale", reason: `It shows ${standby.mirroredId}. ${reason}` };
  }
  return standby.error === null
    ? { state: "preparing", reason: null }
    : { state: "failed", reason: standby.error };
}

/** So many intervals after its last check nobody knows any more whether it answers. */
const FRESH_INTERVALS = 5;
const LEAST_FRESH_MS = 30_000;

/** Whether visitors may be sent to it without anybody looking. Pure. */
export function isReady(
  standby: Standby | null,
  liveId: string,
  at: { readonly now: Date; readonly intervalMs: number },
): boolean {
  if (standby?.checkedAt == null || stateOf(standby, liveId).state !== "ready") return false;
  const freshMs = Math.max(FRESH_INTERVALS * at.intervalMs, LEAST_FRESH_MS);
  return at.now.getTime() - standby.checkedAt.getTime() <= freshMs;
}

/** A health check was made. */
export function afterCheck(standby: Standby, failure: string | null, now: Date): Standby {
  if (failure === null) {
    const answeringSince = standby.answeringSince ?? now;
    return { ...standby, answeringSince, failures: 0, attempts: 0, error: null, checkedAt: now };
  }
  const failures = standby.failures + 1;
  const answeringSince = failures >= FAILURES_UNTIL_DOWN ? null : standby.answeringSince;
  const error = answeringSince === null ? `It does not answer: ${failure}.` : standby.error;
  return { ...standby, failures, answeringSince, error, checkedAt: now };
}

/** From the start with another deployment. What its hosts show stays until that one answers. */
export function begun(standby: Standby, liveId: string): Standby {
  return { ...standby, deploymentId: liveId, generation: 1, releases: [], attempts: 0, error: null };
}

/** Its builds are of no use: they are made anew, under other keys. */
export function again(standby: Standby, error: string): Standby {
  const { generation, attempts } = standby;
  return { ...standby, generation: generation + 1, releases: [], attempts: attempts + 1, error };
}

const FIRST_RETRY_MS = 2_000;
const LONGEST_RETRY_MS = 10 * 60_000;

/** How long to wait before the next look. */
export function pauseMs(standby: Standby, liveId: string, intervalMs: number): number {
  if (standby.attempts > 0) {
    return Math.min(FIRST_RETRY_MS * 2 ** Math.min(standby.attempts - 1, 20), LONGEST_RETRY_MS);
  }
  const step = nextStep(standby, liveId);
  if (step.do === "check") return intervalMs;
  return step.do === "look" ? 1_000 : 0;
}
