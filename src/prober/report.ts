import { bucketOf, type ProberReport, quantile } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";

const WINDOW_MS = 10_000;

/** Counts what the prober does, and says it of the last ten seconds. */
export type Reporter = {
  started(lateMs: number): void;
  skipped(why: "missed" | "busy"): void;
  /** What is given is of this moment; the rest of the last ten seconds that are over. */
  report(
    of: Omit<ProberReport, "rounds" | "missed" | "latenessP50Ms" | "latenessP99Ms" | "lateness">,
  ): ProberReport;
};

export function createReporter(clock: Pick<Clock, "monotonicMs">): Reporter {
  let lateness: Record<string, number> = {};
  let rounds = 0;
  let missed = 0;
  let since = clock.monotonicMs();
  let last = { rounds: 0, missed: 0, latenessP50Ms: 0, latenessP99Ms: 0, lateness: {} };
  return {
    started(lateMs) {
      rounds++;
      const bucket = bucketOf(lateMs);
      lateness[bucket] = (lateness[bucket] ?? 0) + 1;
    },
    skipped(why) {
      if (why === "missed") missed++;
    },
    report(of) {
      const now = clock.monotonicMs();
      if (now - since >= WINDOW_MS) {
        const [latenessP50Ms, latenessP99Ms] = [quantile(lateness, 0.5) ?? 0, quantile(lateness, 0.99) ?? 0];
        last = { rounds, missed, latenessP50Ms, latenessP99Ms, lateness };
        [lateness, rounds, missed, since] = [{}, 0, 0, now];
      }
      return { ...of, ...last };
    },
  };
}
