import { Heap } from "./heap.ts";
import { DEFAULT_LIMITS, type LimitOptions, Limits } from "./limits.ts";
import { nextTick } from "./phase.ts";
import { StartRate } from "./start-rate.ts";

/** What the schedule knows of a check. */
export type Scheduled = {
  readonly id: string;
  readonly intervalMs: number;
  readonly phase: number;
  /** What the limit of a host is counted by. Null: none. */
  readonly host: string | null;
  /** Higher goes first where not everything can run. */
  readonly priority: number;
  /** Intervals from one round to the next. */
  readonly pace: number;
};

export type Tick = { readonly id: string; readonly scheduledAt: number };
export type Skipped = Tick & { readonly why: "missed" | "busy" };

/** What is to be done now, and when to ask again. */
export type Turn = {
  readonly start: readonly Tick[];
  readonly skipped: readonly Skipped[];
  /** Null: when something is added or ends. */
  readonly next: number | null;
};

type Entry = {
  check: Scheduled;
  /** Of the heap's item that counts; others of this entry are leftovers. */
  due: number;
  /** The tick that waits for its turn. */
  waiting: number | null;
  /** What it waits, or waited, for is the end of its own round. */
  behind: boolean;
  /** The first tick in a row that did not run: who went without waits less the next time. */
  unservedSince: number | null;
  running: boolean;
  asked: boolean;
  gone: boolean;
};
type Due = { readonly at: number; readonly entry: Entry };
/** A place in the line. Its rank is settled when it is taken: a heap's items must not change their order. */
type Place = { readonly rank: number; readonly entry: Entry };

/** Beyond this only the newest missed ticks are told one by one: a night asleep is no million rows. */
const MISSED_MAX = 10;
/** Then the event loop gets a turn, before the next ones begin. */
const STARTS_AT_ONCE = 50;
/** What a point of priority is worth in waiting. */
const PRIORITY_MS = 1_000;
/** So long a tick may wait for the round before it: what one takes to end after its time is up, on a busy machine. */
const BEHIND_MS = 100;
/** Timers of Node fire up to a millisecond early. */
const EARLY_MS = 0.5;

/**
 * Which check runs when. Holds no timer and no clock: it is told the time and answers what to begin.
 *
 * A tick that is not begun within half its interval is missed: by then the next one is nearer than it is. So a stall is
 * followed by some missed ticks, and never by a burst.
 */
export class Schedule {
  readonly limits: Limits;
  readonly #entries = new Map<string, Entry>();
  readonly #due = new Heap<Due>((a, b) => a.at < b.at);
  readonly #ready = new Heap<Place>(goesFirst);
  readonly #held = new Map<string, Heap<Place>>();
  readonly #rate = new StartRate();
  #asked: Entry[] = [];
  #shift = 0;

  constructor(limits: LimitOptions = DEFAULT_LIMITS) {
    this.limits = new Limits(limits);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Something is due and was held back: the end of a round may let it go. */
  get isWaiting(): boolean {
    return this.#ready.size > 0 || this.#held.size > 0 || this.#asked.length > 0;
  }

  /** Adds a check, or changes it. `first`: begin with this tick, which need not be of the grid. */
  set(check: Scheduled, now: number, first: number | null = null): void {
    const known = this.#entries.get(check.id);
    if (known) {
      const before = known.check;
      known.check = check;
      this.#rate.count(before.intervalMs, -1);
      this.#rate.count(check.intervalMs, 1);
      const same =
        before.intervalMs === check.intervalMs && before.phase === check.phase && before.pace === check.pace;
      if (!same) this.#plan(known, this.#gridTick(check, now));
      return;
    }
    const entry: Entry = {
      check,
      due: 0,
      waiting: null,
      behind: false,
      unservedSince: null,
      running: false,
      asked: false,
      gone: false,
    };
    this.#entries.set(check.id, entry);
    this.#rate.count(check.intervalMs, 1);
    this.#plan(entry, first ?? this.#gridTick(check, now));
  }

  delete(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.gone = true;
    entry.waiting = null;
    this.#entries.delete(id);
    this.#rate.count(entry.check.intervalMs, -1);
  }

  /** A round right away, beside the grid and the limits. False: there is no such check. */
  ask(id: string): boolean {
    const entry = this.#entries.get(id);
    if (!entry) return false;
    if (!entry.asked) this.#asked.push(entry);
    entry.asked = true;
    return true;
  }

  /** The round of `id` is over. Its attempts are given back to the limits by whoever ran them. */
  ended(id: string): void {
    const entry = this.#entries.get(id);
    if (!entry) return;
    entry.running = false;
    if (entry.waiting !== null) this.#ready.push({ rank: rankOf(entry, entry.waiting), entry });
  }

  /** The time was set back: every tick is worked out anew, a millisecond aside, so that none comes a second time. */
  replan(now: number): void {
    this.#shift++;
    for (const entry of this.#entries.values()) {
      entry.waiting = null;
      entry.unservedSince = null;
      this.#plan(entry, this.#gridTick(entry.check, now));
    }
  }

  turn(now: number): Turn {
    const skipped: Skipped[] = [];
    const start: Tick[] = [];
    this.#startAsked(now, start);
    this.#collectDue(now + EARLY_MS, skipped);
    this.#releaseHeld();
    let next: number | null = this.#due.peek()?.at ?? null;
    while (this.#ready.size > 0 && !this.limits.full) {
      if (start.length >= STARTS_AT_ONCE) return { start, skipped, next: now };
      const place = this.#ready.peek() as Place;
      const { entry } = place;
      if (!this.#waits(entry, now, skipped)) {
        this.#ready.pop();
        continue;
      }
      if (this.limits.room(entry.check.host) <= 0) {
        this.#ready.pop();
        this.#hold(place);
        continue;
      }
      if (!this.#rate.take(now)) {
        next = Math.min(next ?? Number.POSITIVE_INFINITY, this.#rate.next(now));
        break;
      }
      this.#ready.pop();
      start.push(this.#begin(entry, entry.waiting as number));
    }
    return { start, skipped, next };
  }

  #plan(entry: Entry, at: number): void {
    entry.due = at;
    this.#due.push({ at, entry });
  }

  #begin(entry: Entry, scheduledAt: number): Tick {
    entry.waiting = null;
    entry.behind = false;
    entry.unservedSince = null;
    entry.running = true;
    this.limits.take(entry.check.host);
    return { id: entry.check.id, scheduledAt };
  }

  #startAsked(now: number, start: Tick[]): void {
    if (this.#asked.length === 0) return;
    this.#asked = this.#asked.filter((entry) => !entry.gone);
    const idle = this.#asked.filter((entry) => !entry.running);
    this.#asked = this.#asked.filter((entry) => entry.running);
    for (const entry of idle) {
      entry.asked = false;
      start.push(this.#begin(entry, Math.floor(now)));
    }
  }

  #collectDue(now: number, skipped: Skipped[]): void {
    for (let first = this.#due.peek(); first && first.at <= now; first = this.#due.peek()) {
      this.#due.pop();
      const { entry, at } = first;
      if (entry.gone || entry.due !== at) continue;
      const step = entry.check.intervalMs * entry.check.pace;
      const following = this.#gridTick(entry.check, now);
      this.#plan(entry, following);
      const newest = Math.max(at, following - step);
      if (entry.waiting !== null) this.#miss(entry, entry.waiting, skipped);
      if (at < newest) this.#miss(entry, at, skipped);
      for (let tick = newest - MISSED_MAX * step; tick < newest; tick += step)
        if (tick > at) this.#miss(entry, tick, skipped);
      this.#await(entry, newest);
    }
  }

  /**
   * A timeout as long as the interval ends where the next tick is: a tick waits a moment for the end of its own round.
   * Else every second look at what hangs would be left out.
   */
  #await(entry: Entry, tick: number): void {
    // Still in line since its last tick: it keeps the place that it has.
    const inLine = entry.waiting !== null && !entry.running;
    entry.waiting = tick;
    entry.behind = entry.running;
    if (entry.running) return;
    entry.unservedSince ??= tick;
    if (!inLine) this.#ready.push({ rank: rankOf(entry, tick), entry });
  }

  /** What was behind its own round had its turn: it does not go first the next time. */
  #miss(entry: Entry, tick: number, skipped: Skipped[]): void {
    const isBusy = entry.behind && tick === entry.waiting;
    skipped.push({ id: entry.check.id, scheduledAt: tick, why: isBusy ? "busy" : "missed" });
    if (!isBusy) entry.unservedSince ??= tick;
  }

  /** False: it has gone, was begun otherwise, or has waited too long. */
  #waits(entry: Entry, now: number, skipped: Skipped[]): boolean {
    if (entry.gone || entry.running || entry.waiting === null) return false;
    const longest = (entry.check.intervalMs * entry.check.pace) / 2;
    if (now - entry.waiting <= (entry.behind ? Math.min(BEHIND_MS, longest) : longest)) return true;
    this.#miss(entry, entry.waiting, skipped);
    entry.waiting = null;
    return false;
  }

  #hold(place: Place): void {
    const host = place.entry.check.host ?? "";
    const held = this.#held.get(host) ?? new Heap<Place>(goesFirst);
    this.#held.set(host, held);
    held.push(place);
  }

  /** The best of each host that has room again. */
  #releaseHeld(): void {
    for (const [host, held] of this.#held) {
      for (let room = this.limits.room(host); room > 0 && held.size > 0; room--)
        this.#ready.push(held.pop() as Place);
      if (held.size === 0) this.#held.delete(host);
    }
  }

  #gridTick({ phase, intervalMs, pace }: Scheduled, after: number): number {
    return nextTick(after, phase + this.#shift, intervalMs * pace);
  }
}

function rankOf(entry: Entry, tick: number): number {
  return (entry.unservedSince ?? tick) - entry.check.priority * PRIORITY_MS;
}

function goesFirst(a: Place, b: Place): boolean {
  return a.rank < b.rank;
}
