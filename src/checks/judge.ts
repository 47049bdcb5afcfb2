import { judgeFlapping } from "./flap.ts";
import { type Displayed, type Failure, maxAgeMs, type Policy, type State } from "./model.ts";
import { standsSince, type Tally, tally, type Voice, validUntil, votesAt } from "./quorum.ts";
import { judgeSuppression, type Parent } from "./suppress.ts";

/** Everything that bears on what is shown of a check. Times in ms since the epoch. */
export type Facts = {
  /** What the locations say that have said something. */
  readonly voices: readonly Voice[];
  readonly parents: readonly Parent[];
  /** A deployment to its environment is starting: what fails within is no verdict yet. */
  readonly grace: { readonly from: number; readonly until: number } | null;
  readonly maintenance: { readonly id: string; readonly until: number } | null;
  /** When the next window of maintenance begins. */
  readonly nextMaintenanceAt: number | null;
};

/** One change of the state that is shown: an event. */
export type Transition = {
  readonly from: State;
  readonly to: State;
  /** When it began, which is before it was confirmed. */
  readonly at: number;
  readonly failure: Failure | null;
  /** The check or the window of maintenance that makes it no incident of its own. */
  readonly suppressedBy: string | null;
};

/** A change of what it really is, flapping or not: a span ends, and this one begins. */
export type Turn = { readonly state: State; readonly from: number; readonly failure: Failure | null };

export type Judgement = {
  readonly displayed: Displayed;
  /** To be judged again then, although nothing was heard. */
  readonly judgeAt: number | null;
  readonly transition: Transition | null;
  readonly turn: Turn | null;
};

/** What is shown before anything is known. */
export function unknownSince(since: number): Displayed {
  return {
    state: "unknown",
    since,
    failure: null,
    down: [],
    reporting: [],
    disputedSince: null,
    flappingSince: null,
    suppressedBy: null,
    changes: [],
  };
}

/** What is to be shown of a check now. Nothing it is told twice makes a second transition. */
export function judge(previous: Displayed, facts: Facts, policy: Policy, now: number): Judgement {
  const voices = facts.voices.filter(({ location }) => policy.locations.includes(location));
  const before = previous.below ?? { state: previous.state, since: previous.since };
  const counted = tally(votesAt(voices, { ...previous, state: before.state }, policy, now));
  const below = judgeBelow(previous, voices, counted, facts, policy, now);
  const isChange = below.state !== before.state;
  const flapping = judgeFlapping(
    { changes: previous.changes, since: previous.flappingSince },
    isChange && below.state !== "unknown" && before.state !== "unknown" ? below.since : null,
    policy,
    now,
  );
  // Of what nobody knows anything of, it is not known that it flaps.
  const isFlapping = flapping.since !== null && below.state !== "unknown";
  const state = isFlapping ? "degraded" : below.state;
  const since = state === previous.state ? previous.since : Math.max(previous.since, below.since);
  const failure = failureOf(below.state, voices, counted) ?? (isFlapping ? previous.failure : null);
  const suppression = judgeSuppression(state, previous.suppressedBy, facts.parents, policy, now);
  const isDisputed = counted.down.length > 0 && counted.down.length < counted.majority;
  const displayed: Displayed = {
    state,
    since,
    failure,
    down: counted.down,
    reporting: counted.reporting,
    disputedSince: isDisputed ? (previous.disputedSince ?? firstDown(voices, counted, now)) : null,
    flappingSince: isFlapping ? flapping.since : null,
    suppressedBy: suppression.by,
    changes: flapping.changes,
    ...(isFlapping ? { below: { state: below.state, since: below.since } } : {}),
    ...(facts.maintenance ? { maintenance: facts.maintenance.id } : {}),
  };
  const ends = [
    below.judgeAt,
    flapping.endsAt,
    suppression.endsAt,
    facts.maintenance?.until,
    facts.nextMaintenanceAt,
    ...voices.map((voice) => validUntil(voice, policy)),
    // A word that came in while it was expiring would otherwise not be noticed.
    voices.length > 0 && counted.reporting.length === 0 ? now + maxAgeMs(policy) : null,
  ].filter((at) => typeof at === "number" && at > now) as number[];
  return {
    displayed,
    judgeAt: ends.length === 0 ? null : Math.min(...ends),
    transition: transitionOf(previous, displayed),
    turn: isChange ? { state: below.state, from: below.since, failure } : null,
  };
}

type Below = { readonly state: State; readonly since: number; readonly judgeAt: number | null };

/** What it really is, before flapping is looked at. */
function judgeBelow(
  previous: Displayed,
  voices: readonly Voice[],
  counted: Tally,
  { grace }: Facts,
  policy: Policy,
  now: number,
): Below {
  const before = previous.below ?? { state: previous.state, since: previous.since };
  const { state } = counted;
  if (state === before.state) return { ...before, judgeAt: null };
  const stands = standsSince(voices, { ...previous, state: before.state }, policy, now);
  const since = Math.max(before.since, stands);
  if (state !== "down") return { state, since, judgeAt: null };
  const deferredUntil = Math.max(
    before.state === "unknown" ? awaitOthers(voices, counted, policy) : 0,
    grace && since >= grace.from && since < grace.until ? grace.until : 0,
  );
  if (now < deferredUntil) return { ...before, judgeAt: deferredUntil };
  const inGrace = grace !== null && since >= grace.from && since < grace.until;
  return { state, since: inGrace ? grace.until : since, judgeAt: null };
}

/**
 * After a start, the first location that reports would be the majority of those that do. Until when the others are
 * waited for: 0 where there is a majority of all of them.
 */
function awaitOthers(voices: readonly Voice[], { down, reporting }: Tally, policy: Policy): number {
  if (down.length >= Math.floor(policy.locations.length / 2) + 1) return 0;
  const heard = voices.filter(({ location }) => reporting.includes(location));
  return Math.min(...heard.map(({ fold }) => fold.since)) + maxAgeMs(policy);
}

function transitionOf(previous: Displayed, displayed: Displayed): Transition | null {
  if (displayed.state === previous.state) return null;
  // The end of a trouble belongs where its beginning did.
  const suppressedBy = displayed.suppressedBy ?? (displayed.state === "up" ? previous.suppressedBy : null);
  return {
    from: previous.state,
    to: displayed.state,
    at: displayed.since,
    failure: displayed.failure,
    suppressedBy: displayed.maintenance ?? suppressedBy,
  };
}

/** Of the first location, in the order of the policy, that says what is said. */
function failureOf(state: State, voices: readonly Voice[], { reporting }: Tally): Failure | null {
  if (state === "up") return null;
  const agreeing = voices.filter(({ location, fold }) =>
    state === "unknown" ? fold.state === "unknown" : reporting.includes(location) && fold.state === state,
  );
  const others = state === "unknown" ? [] : voices.filter(({ fold }) => fold.state === "down");
  return [...agreeing, ...others].map(({ fold }) => fold.failure).find((failure) => failure !== null) ?? null;
}

function firstDown(voices: readonly Voice[], { down }: Tally, now: number): number {
  return Math.min(now, ...voices.filter((one) => down.includes(one.location)).map(({ fold }) => fold.since));
}
