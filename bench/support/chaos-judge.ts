import type { Deployment } from "./api.ts";

export type Victim = "control" | "dock" | "gateway" | "worker" | "postgres" | "app";

/** One SIGKILL. Times are epoch ms; `backAt` is when what was killed was seen to work again. */
export type Kill = {
  readonly victim: Victim;
  readonly pid: number;
  readonly at: number;
  readonly backAt: number;
  /** The dock's id of the release whose process was killed. */
  readonly release: string | null;
};

/** A request of a visitor that did not get 200 and a known release. */
export type FailedRequest = {
  readonly project: string;
  readonly sentAt: number;
  readonly at: number;
  /** 0: no answer at all. */
  readonly status: number;
  readonly what: string;
};

/**
 * Why a request may fail: its connection was to a gateway process that was killed, the port had no listener until the
 * next one was there, or its release's own process was killed. Anything else is a fault.
 */
export type FailureClass = "cut by a killed gateway" | "gateway away" | "app killed" | "unexpected";

/** A visitor reconnects, and finds the next process, within this time of it being back. */
const GRACE_MS = 1_500;
/** The gateway waits 2 s for an app's socket before its 502: what began just before the app was back may end so. */
const APP_GRACE_MS = 3_000;

export function classOf(
  failed: FailedRequest,
  kills: readonly Kill[],
  projectOf: (release: string) => string | undefined,
): FailureClass {
  const during = (kill: Kill, graceMs: number) =>
    failed.at >= kill.at && failed.sentAt <= kill.backAt + graceMs;
  const gateway = kills.some(
    (kill) => (kill.victim === "gateway" || kill.victim === "worker") && during(kill, GRACE_MS),
  );
  if (failed.status === 0 && gateway) {
    return failed.what.includes("ECONNREFUSED") ? "gateway away" : "cut by a killed gateway";
  }
  const app = kills.some(
    (kill) =>
      kill.victim === "app" &&
      kill.release !== null &&
      projectOf(kill.release) === failed.project &&
      during(kill, APP_GRACE_MS),
  );
  const isAppsFault = failed.status === 0 || [502, 503, 504].includes(failed.status);
  return app && isAppsFault ? "app killed" : "unexpected";
}

/** Pairs of deployments of one environment that were `live` at the same moment, by their own histories. */
export function twoLive(deployments: readonly Pick<Deployment, "id" | "phases">[]): string[] {
  const spans = deployments.flatMap(({ id, phases }) =>
    phases.flatMap((phase, index) => {
      if (phase.state !== "live") return [];
      const next = phases[index + 1];
      return [{ id, from: Date.parse(phase.at), to: next ? Date.parse(next.at) : Number.POSITIVE_INFINITY }];
    }),
  );
  const ordered = spans.sort((a, b) => a.from - b.from || a.to - b.to);
  return ordered.flatMap((span, index) => {
    const next = ordered[index + 1];
    return next && next.from < span.to ? [`${span.id} and ${next.id} were both live`] : [];
  });
}

/** When a deployment entered a state for the first time, epoch ms; null: never. */
export function enteredAt({ phases }: Pick<Deployment, "phases">, state: string): number | null {
  const phase = phases.find((each) => each.state === state);
  return phase ? Date.parse(phase.at) : null;
}

/** How often each value occurs. */
export function tally(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
