import { type LocationState, maxAgeMs, type Policy, type State } from "./model.ts";

/** What a location says, and until when that holds. */
export type Voice = { readonly location: string; readonly fold: LocationState };

export type Tally = {
  readonly state: State;
  readonly down: readonly string[];
  readonly reporting: readonly string[];
  /** How many make it down. */
  readonly majority: number;
};

/** Until when the word of a location holds: exclusive. Null: it has said nothing yet. */
export function validUntil({ fold }: Voice, policy: Pick<Policy, "intervalMs" | "timeoutMs">): number | null {
  return fold.lastAt === null ? null : fold.lastAt + maxAgeMs(policy);
}

/** A majority of the locations that report decides; 1 of 2 is none. Nobody reports: unknown. */
export function tally(votes: ReadonlyMap<string, State>): Tally {
  const reporting = [...votes.keys()].filter((location) => votes.get(location) !== "unknown");
  const down = reporting.filter((location) => votes.get(location) === "down");
  const troubled = reporting.filter((location) => votes.get(location) !== "up");
  const majority = Math.floor(reporting.length / 2) + 1;
  const state = (): State => {
    if (reporting.length === 0) return "unknown";
    if (down.length >= majority) return "down";
    return troubled.length >= majority ? "degraded" : "up";
  };
  return { state: state(), down, reporting, majority };
}

/** What was counted when it was last judged: the votes of the time before those that are known now. */
export type Earlier = {
  readonly state: State;
  readonly down: readonly string[];
  readonly reporting: readonly string[];
};

/** The votes of one moment, which may be past. */
export function votesAt(
  voices: readonly Voice[],
  earlier: Earlier,
  policy: Policy,
  at: number,
): ReadonlyMap<string, State> {
  const vote = (voice: Voice): State => {
    const end = validUntil(voice, policy);
    if (end === null || at >= end) return "unknown";
    return at >= voice.fold.since ? voice.fold.state : votedEarlier(voice.location, earlier);
  };
  return new Map(voices.map((voice) => [voice.location, vote(voice)]));
}

/**
 * Since when the votes have added up to what they do at `now`: the beginning of its last unbroken stretch, which
 * begins where a location changed its mind or fell silent.
 */
export function standsSince(voices: readonly Voice[], earlier: Earlier, policy: Policy, now: number): number {
  const { state } = tally(votesAt(voices, earlier, policy, now));
  const turns = voices
    .flatMap((voice) => [voice.fold.since, validUntil(voice, policy) ?? now])
    .filter((at) => at <= now)
    .sort((a, b) => b - a);
  let since = now;
  for (const at of turns) {
    if (tally(votesAt(voices, earlier, policy, at)).state !== state) break;
    since = at;
  }
  return since;
}

function votedEarlier(location: string, { state, down, reporting }: Earlier): State {
  if (down.includes(location)) return "down";
  if (!reporting.includes(location)) return "unknown";
  return state === "degraded" ? "degraded" : "up";
}
