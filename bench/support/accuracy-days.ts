import { daysIn } from "../../src/checks/days.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/checks/model.ts";
import { add, NOTHING, type Span, tally, type Window } from "../../src/checks/uptime.ts";
import { createRandom } from "../../test/scenarios/random.ts";
import { FAULTS, scriptOf } from "./accuracy-faults.ts";
import { type Score, score } from "./accuracy-score.ts";
import { play } from "./accuracy-stand.ts";

/** Both hemispheres, and one that moves its clocks by half an hour. All change them in autumn 2026. */
export const ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];

const POLICY: Policy = { ...DEFAULT_POLICY, intervalMs: 10_000, timeoutMs: 3_000, degradedMs: 500 };

export type Virtual = {
  readonly scores: readonly Score[];
  /** Days whose bar is not as long as the day, and zones whose bars do not add up to the whole. */
  readonly wrongDays: readonly string[];
  /** Interval + timeout + 50 ms; of slowness one interval more, since a single slow answer is none. */
  readonly withinBound: boolean;
};

/** Every fault in a target of its own, looked at for so many days of virtual time from 1 September 2026 on. */
export function runVirtualDays(days: number, seed: number): Virtual {
  const from = Date.UTC(2026, 8, 1);
  const window = { from, to: from + days * 86_400_000 };
  const wrongDays: string[] = [];
  const scores = FAULTS.map((fault, at) => {
    const random = createRandom(seed * 100 + at);
    const locations = fault === "1 of 3 locations" ? ["berlin", "new-york", "sydney"] : ["local"];
    const script = scriptOf(fault, { ...POLICY, locations }, window, random);
    const played = play(script, window, random);
    for (const zone of ZONES) wrongDays.push(...wrongDaysOf(zone, played.spans, window));
    return score(script, played, window);
  });
  const bound = POLICY.intervalMs + POLICY.timeoutMs + 50;
  const withinBound = scores.every(
    ({ fault, delaysMs }) => Math.max(0, ...delaysMs) <= bound + (fault === "slow" ? POLICY.intervalMs : 0),
  );
  return { scores, wrongDays, withinBound };
}

function wrongDaysOf(zone: string, spans: readonly Span[], window: Window): string[] {
  const days = daysIn(zone, window.from, window.to);
  const bars = days.map((day) => {
    const part = { from: Math.max(day.from, window.from), to: Math.min(day.to, window.to) };
    return { name: `${zone} ${day.day}`, length: part.to - part.from, of: tally(part, spans) };
  });
  const wrong = bars.filter(({ length, of }) => Object.values(of).reduce((a, b) => a + b, 0) !== length);
  const sum = bars.map(({ of }) => of).reduce(add, NOTHING);
  const isWhole = JSON.stringify(sum) === JSON.stringify(tally(window, spans));
  return [...wrong.map(({ name }) => name), ...(isWhole ? [] : [`${zone}: all days`])];
}
