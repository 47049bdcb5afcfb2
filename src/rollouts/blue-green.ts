import type { Stage } from "./strategy.ts";
import { duration } from "./words.ts";

/** One flip; what serves then is watched, while the release before it is kept ready to take over again. */
export function blueGreenStages(watchMs: number): readonly Stage[] {
  return [{ weight: 100, bakeMs: watchMs }];
}

export function describeBlueGreen(watchMs: number): string[] {
  const watched = watchMs === 0 ? "not watched" : `watched for ${duration(watchMs)}, the old one kept ready`;
  return [`flip at once, ${watched}`];
}
