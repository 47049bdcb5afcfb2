import { timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import type { Clock } from "../../../foundation/clock.ts";
import { messageOf } from "../../../foundation/errors.ts";
import { parseCookies } from "../child/node-helpers.ts";
import type { Exchange } from "../exchange.ts";
import { type CallAnswer, CallFailure } from "../functions/call.ts";
import type { RawHeaders } from "../headers.ts";
import type { Kept, KeptStore } from "../kept/kept-store.ts";
import { type TagTimes, tagsOf } from "../kept/tag-times.ts";
import type { FunctionEntry } from "../read-output.ts";
import {
  type Freshness,
  freshnessOf,
  keepFor,
  keptHeaders,
  type Variant,
  variantOf,
} from "./cache-policy.ts";
import type { PrerenderSpec } from "./prerender-config.ts";

/** The value of `x-vercel-cache`. https://vercel.com/docs/headers/response-headers#x-vercel-cache */
export type CacheState = "HIT" | "MISS" | "STALE" | "PRERENDER" | "BYPASS" | "REVALIDATED";

export type PrerenderAnswer =
  | { readonly kind: "kept"; readonly state: CacheState; readonly kept: Kept }
  /** Not kept: the function's answer as it comes. */
  | { readonly kind: "direct"; readonly state: CacheState; readonly answer: CallAnswer }
  /** The function must see the whole request: a preview, or a method that changes something. */
  | { readonly kind: "bypass" };

export type PrerenderOptions = {
  readonly store: KeptStore;
  readonly tags: TagTimes;
  readonly entries: readonly FunctionEntry[];
  readonly clock: Clock;
  /** When the release was first started: its fallbacks are as old as that. */
  readonly bornAtMs: number;
  /** Calls the function for a variant, with nothing of the visitor's beside what is allowed. */
  readonly call: (entry: FunctionEntry, variant: Variant, exchange: Asked) => Promise<CallAnswer>;
  readonly log: (message: string) => void;
};

type Prerendered = FunctionEntry & { readonly prerender: PrerenderSpec };
/** The request that makes an answer necessary: its id and host are all that the function gets of it. */
type Asked = Pick<Exchange, "req" | "host" | "requestId">;

type Made = { readonly kept: Kept } | { readonly answer: CallAnswer };

/** Incremental static regeneration: kept answers, shown while stale and renewed one at a time in the background. */
export type Prerenders = {
  answer(entry: Prerendered, asked: Asked, query: URLSearchParams): Promise<PrerenderAnswer>;
};

// Vercel's limit for a prerendered answer.
const LARGEST_BYTES = 20 * 2 ** 20;

export function createPrerenders(options: PrerenderOptions): Prerenders {
  return new Keeper(options);
}

class Keeper implements Prerenders {
  readonly #options: PrerenderOptions;
  readonly #renewing = new Map<string, { readonly made: Promise<Made>; readonly tagCount: number }>();

  constructor(options: PrerenderOptions) {
    this.#options = options;
  }

  async answer(entry: Prerendered, asked: Asked, query: URLSearchParams): Promise<PrerenderAnswer> {
    const { store, clock, tags, bornAtMs } = this.#options;
    const { req } = asked;
    const spec = entry.prerender;
    if (isPreview(req, spec)) return { kind: "bypass" };
    const variant = variantOf(entry.path, spec, query, req.rawHeaders);
    const demand = demandOf(req, spec);
    if (demand === null && req.method !== "GET" && req.method !== "HEAD") return { kind: "bypass" };
    const found = await store.get(variant.key);
    if (demand === "if-generated" && found === null && spec.fallback === null) return notGenerated(clock);
    if (demand !== null) return this.#revalidate(entry, variant, asked);
    const shown = found ?? (await fallbackOf(spec, bornAtMs));
    if (shown === null) return this.#miss(entry, variant, asked, "MISS");
    const tagged = tags.stateOf(shown.tags, shown.storedAtMs);
    if (tagged === "gone") return this.#miss(entry, variant, asked, "REVALIDATED");
    // A fallback is the page itself, unless the page depends on a query: then it only stands in for it.
    const standIn = found === null && variant.query.size > 0;
    const aged = standIn ? "stale" : freshnessOf(shown, spec.staleForS, clock.now().getTime());
    if (aged === "gone") return this.#miss(entry, variant, asked, "MISS");
    const freshness = tagged === "stale" ? "stale" : aged;
    if (freshness === "stale") void this.#renewBehind(entry, variant, asked, found);
    if (found === null && freshness === "fresh") await store.put(variant.key, shown);
    return { kind: "kept", state: stateOf(found !== null, standIn, freshness), kept: shown };
  }

  async #make(entry: Prerendered, variant: Variant, asked: Asked): Promise<Made> {
    const { store, clock, call } = this.#options;
    const storedAtMs = clock.now().getTime();
    const answer = await call(entry, variant, asked);
    const { status, headers } = answer;
    const freshForS = keepFor(entry.prerender, status, headers);
    if (freshForS === undefined) return { answer };
    const body = await readBody(answer, entry.path);
    const kept = {
      status,
      headers: keptHeaders(headers),
      body,
      storedAtMs,
      freshForS,
      tags: tagsOf(headers),
    };
    const latest = await store.get(variant.key);
    // One that began later may have ended earlier.
    if (latest === null || latest.storedAtMs <= storedAtMs) await store.put(variant.key, kept);
    return { kept };
  }

  /**
   * One renewal of a variant at a time. Who finds one under way gets its result, if it can be shared and no tag was
   * changed since it began.
   */
  #renew(entry: Prerendered, variant: Variant, asked: Asked): Promise<Made> {
    const under = this.#renewing.get(variant.key);
    const tagCount = this.#options.tags.count;
    if (under?.tagCount === tagCount) return under.made;
    const made = this.#make(entry, variant, asked).finally(() => {
      if (this.#renewing.get(variant.key)?.made === made) this.#renewing.delete(variant.key);
    });
    this.#renewing.set(variant.key, { made, tagCount });
    return made;
  }

  /** Failures keep what is there: visitors see the last good answer. */
  async #renewBehind(entry: Prerendered, variant: Variant, asked: Asked, found: Kept | null): Promise<void> {
    if (this.#renewing.has(variant.key)) return;
    // A renewal may have ended since the stale answer was looked up.
    const latest = await this.#options.store.get(variant.key);
    if (latest?.storedAtMs !== found?.storedAtMs) return;
    await Promise.all([this.#renewAndDrop(entry, variant, asked), this.#renewOthers(entry, variant, asked)]);
  }

  async #renewAndDrop(entry: Prerendered, variant: Variant, asked: Asked): Promise<void> {
    try {
      const made = await this.#renew(entry, variant, asked);
      if ("answer" in made) made.answer.body.resume();
    } catch (error) {
      this.#options.log(`${entry.path} could not be renewed: ${messageOf(error)}`);
    }
  }

  /** A page's data and its other forms are renewed with it, so that they fit together. */
  async #renewOthers(
    { path, prerender: { group } }: Prerendered,
    variant: Variant,
    asked: Asked,
  ): Promise<void> {
    if (group === null) return;
    const others = this.#options.entries.filter(
      (one): one is Prerendered =>
        one.path !== path && one.prerender !== null && one.prerender.group === group,
    );
    const due = others.map((one) => ({
      one,
      own: variantOf(one.path, one.prerender, variant.query, variant.headers),
    }));
    const free = due.filter(({ own }) => !this.#renewing.has(own.key));
    await Promise.all(free.map(({ one, own }) => this.#renewAndDrop(one, own, asked)));
  }

  async #revalidate(entry: Prerendered, variant: Variant, asked: Asked): Promise<PrerenderAnswer> {
    const [made] = await Promise.all([
      this.#make(entry, variant, asked),
      this.#renewOthers(entry, variant, asked),
    ]);
    return "kept" in made
      ? { kind: "kept", state: "REVALIDATED", kept: made.kept }
      : { kind: "direct", state: "MISS", answer: made.answer };
  }

  async #miss(
    entry: Prerendered,
    variant: Variant,
    asked: Asked,
    state: "MISS" | "REVALIDATED",
  ): Promise<PrerenderAnswer> {
    const under = this.#renewing.get(variant.key)?.made;
    const renewal = this.#renew(entry, variant, asked);
    const first = renewal !== under;
    const made = await renewal;
    if ("kept" in made) return { kind: "kept", state, kept: made.kept };
    // An answer that may not be shared belongs to the one who caused it.
    const answer = first ? made.answer : await this.#options.call(entry, variant, asked);
    return { kind: "direct", state: "MISS", answer };
  }
}

async function readBody(answer: CallAnswer, path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BYTES)
      throw new CallFailure("failed", `${path} answered with more than 20 MB, which is not kept`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function stateOf(found: boolean, standIn: boolean, freshness: Freshness): CacheState {
  if (!found && (standIn || freshness === "fresh")) return "PRERENDER";
  return freshness === "fresh" ? "HIT" : "STALE";
}

function isPreview(req: IncomingMessage, { bypassToken }: PrerenderSpec): boolean {
  const cookie = parseCookies(req.headers.cookie).__prerender_bypass;
  return cookie !== undefined && bypassToken !== null && isEqual(cookie, bypassToken);
}

/** Whether the request may have an answer made anew, and whether only one that is there already. */
export function demandOf(
  req: IncomingMessage,
  { bypassToken }: PrerenderSpec,
): "always" | "if-generated" | null {
  const token = req.headers["x-prerender-revalidate"];
  if (typeof token !== "string" || bypassToken === null || !isEqual(token, bypassToken)) return null;
  return req.headers["x-prerender-revalidate-if-generated"] === undefined ? "always" : "if-generated";
}

function isEqual(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function notGenerated(clock: Clock): PrerenderAnswer {
  const kept = {
    status: 404,
    headers: [],
    body: Buffer.alloc(0),
    storedAtMs: clock.now().getTime(),
    freshForS: 0,
    tags: [],
  };
  return { kind: "kept", state: "MISS", kept };
}

async function fallbackOf(spec: PrerenderSpec, bornAtMs: number): Promise<Kept | null> {
  if (spec.fallback === null) return null;
  const { path, status, headers } = spec.fallback;
  return {
    status,
    headers: keptHeaders(headers as RawHeaders),
    body: await readFile(path),
    storedAtMs: bornAtMs,
    freshForS: spec.expirationS,
    tags: tagsOf(headers),
  };
}
