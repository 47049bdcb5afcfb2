import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { z } from "zod";
import type { Clock } from "../../../foundation/clock.ts";
import { headerOf, type RawHeaders } from "../headers.ts";

/** `gone`: it may not be shown any more; `stale`: it may, while a new one is made. */
export type TagState = "fresh" | "stale" | "gone";

/** When the tags of kept answers and values were last changed. Over restarts: a change is not forgotten. */
export type TagTimes = {
  /**
   * What has one of the tags and was made until now is stale, and gone `goneInS` seconds from now: 0 is at once, null
   * is never. It counts before this returns; the promise is for its being on disk.
   */
  change(tags: readonly string[], goneInS: number | null): Promise<void>;
  /** @param sinceMs when the making of what has the tags began */
  stateOf(tags: readonly string[], sinceMs: number): TagState;
  /** How many changes there were: a making that began at another count may have missed one. */
  readonly count: number;
};

const Times = z.object({
  staleAtMs: z.number(),
  goneAtMs: z.number(),
  /** Gone later: what was made until `atMs`, from `fromMs` on. */
  later: z.object({ atMs: z.number(), fromMs: z.number() }).nullable(),
});
type Times = z.infer<typeof Times>;
const Saved = z.object({ floorMs: z.number(), tags: z.array(z.tuple([z.string(), Times])) });

const LIMIT = 50_000;
// Vercel's and Next.js's are 256 characters and 128 tags; Next.js adds those of the path to them.
const LONGEST_TAG = 256;
const MOST_TAGS = 256;
const TAG_HEADERS = ["x-next-cache-tags", "vercel-cache-tag"];

/** The tags that an answer names in its headers. */
export function tagsOf(headers: RawHeaders): string[] {
  const named = TAG_HEADERS.flatMap((name) => headerOf(headers, name)?.split(",") ?? []);
  return cleanTags(named).slice(0, MOST_TAGS);
}

export function isTagHeader(name: string): boolean {
  return TAG_HEADERS.includes(name);
}

export function cleanTags(given: readonly string[]): string[] {
  const fit = given.map((tag) => tag.trim()).filter((tag) => tag !== "" && tag.length <= LONGEST_TAG);
  return [...new Set(fit)];
}

export function openTagTimes(file: string, clock: Clock, limit = LIMIT): TagTimes {
  return new SavedTagTimes(file, clock, limit);
}

class SavedTagTimes implements TagTimes {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #tags: Map<string, Times>;
  /** What has a tag and is this old is gone: the times of its tags may have been forgotten. */
  #floorMs: number;
  #saving: Promise<void> = Promise.resolve();
  #dirty = false;
  count = 0;

  constructor(file: string, clock: Clock, limit: number) {
    this.#file = file;
    this.#clock = clock;
    this.#limit = limit;
    const { floorMs, tags } = read(file);
    this.#floorMs = floorMs;
    this.#tags = new Map(tags);
  }

  change(tags: readonly string[], goneInS: number | null): Promise<void> {
    const nowMs = this.#clock.now().getTime();
    for (const tag of cleanTags(tags)) {
      const times = changed(this.#tags.get(tag), nowMs, goneInS);
      // The one that changed last comes last.
      this.#tags.delete(tag);
      this.#tags.set(tag, times);
    }
    this.#forget();
    this.count++;
    return this.#save();
  }

  stateOf(tags: readonly string[], sinceMs: number): TagState {
    if (tags.length > 0 && sinceMs <= this.#floorMs) return "gone";
    const nowMs = this.#clock.now().getTime();
    let state: TagState = "fresh";
    for (const tag of tags) {
      const times = this.#tags.get(tag);
      if (times === undefined) continue;
      if (sinceMs <= goneUntil(times, nowMs)) return "gone";
      if (sinceMs <= times.staleAtMs) state = "stale";
    }
    return state;
  }

  #forget(): void {
    for (const [tag, { staleAtMs }] of this.#tags) {
      if (this.#tags.size <= this.#limit) break;
      this.#tags.delete(tag);
      this.#floorMs = Math.max(this.#floorMs, staleAtMs);
    }
  }

  /** One writing at a time; changes that come meanwhile are in the next one. */
  #save(): Promise<void> {
    if (this.#dirty) return this.#saving;
    this.#dirty = true;
    this.#saving = this.#saving
      .catch(() => {})
      .then(async () => {
        this.#dirty = false;
        const saved = { floorMs: this.#floorMs, tags: [...this.#tags] };
        await writeFile(`${this.#file}.draft`, JSON.stringify(saved));
        await rename(`${this.#file}.draft`, this.#file);
      });
    return this.#saving;
  }
}

function changed(before: Times | undefined, nowMs: number, goneInS: number | null): Times {
  const goneAtMs = before === undefined ? 0 : goneUntil(before, nowMs);
  if (goneInS === null) return { staleAtMs: nowMs, goneAtMs, later: waiting(before, nowMs) };
  if (goneInS <= 0) return { staleAtMs: nowMs, goneAtMs: nowMs, later: null };
  const fromMs = Math.min(nowMs + goneInS * 1000, waiting(before, nowMs)?.fromMs ?? Infinity);
  return { staleAtMs: nowMs, goneAtMs, later: { atMs: nowMs, fromMs } };
}

function waiting(times: Times | undefined, nowMs: number): Times["later"] {
  return times?.later && times.later.fromMs > nowMs ? times.later : null;
}

/** What was made until then is gone. */
function goneUntil({ goneAtMs, later }: Times, nowMs: number): number {
  return later !== null && later.fromMs <= nowMs ? Math.max(goneAtMs, later.atMs) : goneAtMs;
}

function read(file: string): z.infer<typeof Saved> {
  try {
    return Saved.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return { floorMs: 0, tags: [] };
  }
}
