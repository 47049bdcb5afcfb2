import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { Clock } from "../../../foundation/clock.ts";
import { messageOf } from "../../../foundation/errors.ts";
import type { CallAnswer } from "../functions/call.ts";
import { headerOf, withoutHeaders } from "../headers.ts";
import type { Kept, KeptStore } from "../kept/kept-store.ts";
import { isTagHeader, type TagTimes, tagsOf } from "../kept/tag-times.ts";
import { freshnessOf } from "../prerender/cache-policy.ts";
import { tagOf } from "../serve-file.ts";
import { type EdgeRule, LARGEST_BYTES } from "./edge-policy.ts";

/** What an answer belongs to. */
export type Place = {
  /** Host, path, query and where they led. */
  readonly key: string;
  /** Of the request: an answer may depend on some of them. */
  readonly headers: IncomingHttpHeaders;
};

export type EdgeFound =
  | { readonly kind: "kept"; readonly state: "HIT" | "STALE"; readonly kept: Kept }
  | { readonly kind: "none"; readonly state: "MISS" | "REVALIDATED" };

export type EdgeOptions = {
  readonly store: KeptStore;
  readonly tags: TagTimes;
  readonly clock: Clock;
  readonly log: (message: string) => void;
};

/** The rule for an answer, or null when it is not to be kept. */
export type RuleOf = (answer: CallAnswer) => EdgeRule | null;

/** Answers of plain functions that asked for it in `Cache-Control`. */
export type EdgeCache = {
  /** @param renew calls the function: a stale answer is renewed with it, once at a time, after it was found */
  find(place: Place, renew: () => Promise<CallAnswer>, ruleOf: RuleOf): Promise<EdgeFound>;
  /** Keeps an answer's body as it passes by. The first visitor gets each part when the function sends it. */
  record(place: Place, answer: CallAnswer, rule: EdgeRule, beganAtMs: number): void;
  /** Resolves when every complete answer is on disk. */
  settled(): Promise<void>;
};

// Of the connection or of one answer only.
const NOT_KEPT = new Set(["date", "age", "content-length", "x-vercel-id", "x-vercel-cache"]);
const MOST_RECORDED = 16;
/** Marks, under the plain key, what headers the answers there depend on. */
const VARY = "vary ";

export function createEdgeCache(options: EdgeOptions): EdgeCache {
  return new Edge(options);
}

class Edge implements EdgeCache {
  readonly #options: EdgeOptions;
  readonly #recording = new Set<string>();
  readonly #renewing = new Set<string>();
  /** Answers that are complete and on their way to the disk. */
  readonly #writing = new Map<string, Promise<void>>();

  constructor(options: EdgeOptions) {
    this.#options = options;
  }

  async find(place: Place, renew: () => Promise<CallAnswer>, ruleOf: RuleOf): Promise<EdgeFound> {
    const { store, tags, clock } = this.#options;
    await this.#writing.get(place.key);
    const key = await this.#variantKey(place);
    const kept = await store.get(key);
    if (kept === null) return { kind: "none", state: "MISS" };
    const tagged = tags.stateOf(kept.tags, kept.storedAtMs);
    if (tagged === "gone") return { kind: "none", state: "REVALIDATED" };
    const aged = freshnessOf(kept, kept.goneAfterS ?? null, clock.now().getTime());
    if (aged === "gone") return { kind: "none", state: "MISS" };
    if (aged === "fresh" && tagged === "fresh") return { kind: "kept", state: "HIT", kept };
    void this.#renewBehind(place, key, renew, ruleOf);
    return { kind: "kept", state: "STALE", kept };
  }

  record(place: Place, answer: CallAnswer, rule: EdgeRule, beganAtMs: number): void {
    // Each copy may take 10 MB for as long as a slow visitor likes.
    if (this.#recording.has(place.key) || this.#recording.size >= MOST_RECORDED) return;
    this.#recording.add(place.key);
    collect(answer.body, (body) => {
      this.#recording.delete(place.key);
      if (body !== null) void this.#write(place, answer, { rule, body, beganAtMs });
    });
  }

  async settled(): Promise<void> {
    await Promise.all(this.#writing.values());
  }

  async #renewBehind(
    place: Place,
    key: string,
    renew: () => Promise<CallAnswer>,
    ruleOf: RuleOf,
  ): Promise<void> {
    if (this.#renewing.has(key)) return;
    this.#renewing.add(key);
    try {
      const beganAtMs = this.#options.clock.now().getTime();
      const answer = await renew();
      const rule = ruleOf(answer);
      const { promise, resolve } = Promise.withResolvers<Buffer | null>();
      collect(answer.body, resolve);
      const body = await promise;
      if (rule !== null && body !== null) await this.#write(place, answer, { rule, body, beganAtMs });
      // Visitors see the last good answer until a failure is over; one that is not to be shared ends it.
      else if (rule === null && answer.status < 500) await this.#options.store.delete(key);
    } catch (error) {
      this.#options.log(`A kept answer could not be renewed: ${messageOf(error)}`);
    } finally {
      this.#renewing.delete(key);
    }
  }

  #write(
    place: Place,
    answer: CallAnswer,
    made: { rule: EdgeRule; body: Buffer; beganAtMs: number },
  ): Promise<void> {
    const written = this.#writeNow(place, answer, made)
      .catch((error) => this.#options.log(`An answer could not be kept: ${messageOf(error)}`))
      .finally(() => {
        if (this.#writing.get(place.key) === written) this.#writing.delete(place.key);
      });
    this.#writing.set(place.key, written);
    return written;
  }

  async #writeNow(
    place: Place,
    { status, headers }: CallAnswer,
    { rule, body, beganAtMs }: { rule: EdgeRule; body: Buffer; beganAtMs: number },
  ): Promise<void> {
    const { store } = this.#options;
    const { freshForS, goneAfterS, vary } = rule;
    const names = await this.#varied(place.key);
    if (names.join() !== vary.join()) await this.#mark(place.key, vary, beganAtMs);
    const own = withoutHeaders(headers, (name) => NOT_KEPT.has(name) || isTagHeader(name));
    if (status === 200 && headerOf(own, "etag") === null) own.push("etag", tagOf(body));
    const tags = tagsOf(headers);
    const kept = { status, headers: own, body, storedAtMs: beganAtMs, freshForS, goneAfterS, tags };
    await store.put(keyFor(place, vary), kept);
  }

  async #variantKey(place: Place): Promise<string> {
    return keyFor(place, await this.#varied(place.key));
  }

  async #varied(key: string): Promise<readonly string[]> {
    const mark = await this.#options.store.get(VARY + key);
    return mark === null ? [] : mark.headers;
  }

  async #mark(key: string, vary: readonly string[], storedAtMs: number): Promise<void> {
    const mark = { status: 0, headers: vary, body: Buffer.alloc(0), storedAtMs, freshForS: null, tags: [] };
    await this.#options.store.put(VARY + key, mark);
  }
}

function keyFor({ key, headers }: Place, vary: readonly string[]): string {
  return JSON.stringify([key, vary.map((name) => [name, String(headers[name] ?? "")])]);
}

/** @param done called once, with null when the body did not end well or is too large */
function collect(body: Readable, done: (body: Buffer | null) => void): void {
  let chunks: Buffer[] = [];
  let size = 0;
  body.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > LARGEST_BYTES) chunks = [];
    else chunks.push(chunk);
  });
  let over = false;
  const end = (whole: Buffer | null) => {
    if (!over) done(whole);
    over = true;
  };
  body.once("end", () => end(size > LARGEST_BYTES ? null : Buffer.concat(chunks)));
  body.once("close", () => end(null));
}
