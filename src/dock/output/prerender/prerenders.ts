import { timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import type { Clock } from "../../../foundation/clock.ts";
import { messageOf } from "../../../foundation/errors.ts";
import { parseCookies } from "../child/node-helpers.ts";
import type { Exchange } from "../exchange.ts";
import type { CallAnswer } from "../functions/call.ts";
import type { RawHeaders } from "../headers.ts";
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
import type { Kept, PrerenderStore } from "./prerender-store.ts";

/** The value of `x-vercel-cache`. https://vercel.com/docs/headers/response-headers#x-vercel-cache */
export type CacheState = "HIT" | "MISS" | "STALE" | "PRERENDER" | "BYPASS" | "REVALIDATED";

export type PrerenderAnswer =
  | { readonly kind: "kept"; readonly state: CacheState; readonly kept: Kept }
  /** Not kept: the function's answer as it comes. */
  | { readonly kind: "direct"; readonly state: CacheState; readonly answer: CallAnswer }
  /** The function must see the whole request: a preview, or a method that changes something. */
  | { readonly kind: "bypass" };

export type PrerenderOptions = {
  readonly store: PrerenderStore;
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

const LARGEST_BYTES = 20 * 2 ** 20;

export function createPrerenders(options: PrerenderOptions): Prerenders {
  const { store, clock, call } = options;
  const renewing = new Map<string, Promise<Made>>();

  async function make(entry: Prerendered, variant: Variant, asked: Asked): Promise<Made> {
    const answer = await call(entry, variant, asked);
    const freshForS = keepFor(entry.prerender, answer.status, answer.headers);
    const length = Number(answer.body.headers["content-length"] ?? 0);
    if (freshForS === undefined || length > LARGEST_BYTES) return { answer };
    const { status, headers } = answer;
    const body = await buffer(answer.body);
    const kept = {
      status,
      headers: keptHeaders(headers),
      body,
      storedAtMs: clock.now().getTime(),
      freshForS,
    };
    await store.put(variant.key, kept);
    return { kept };
  }

  /** One renewal of a variant at a time. Who finds one under way gets its result, if it can be shared. */
  function renew(entry: Prerendered, variant: Variant, asked: Asked): Promise<Made> {
    const under = renewing.get(variant.key);
    if (under) return under;
    const made = make(entry, variant, asked).finally(() => renewing.delete(variant.key));
    renewing.set(variant.key, made);
    return made;
  }

  /** Failures keep what is there: visitors see the last good answer. */
  function renewBehind(entry: Prerendered, variant: Variant, asked: Asked): void {
    if (renewing.has(variant.key)) return;
    for (const one of [entry, ...others(options.entries, entry)]) {
      const own =
        one === entry ? variant : variantOf(one.path, one.prerender, variant.query, variant.headers);
      renew(one, own, asked).then(discard, (error) =>
        options.log(`${one.path} could not be renewed: ${messageOf(error)}`),
      );
    }
  }

  async function revalidate(entry: Prerendered, variant: Variant, asked: Asked): Promise<PrerenderAnswer> {
    const rest = others(options.entries, entry).map((one) =>
      renew(one, variantOf(one.path, one.prerender, variant.query, variant.headers), asked).then(discard),
    );
    const [made] = await Promise.all([make(entry, variant, asked), Promise.allSettled(rest)]);
    return "kept" in made
      ? { kind: "kept", state: "REVALIDATED", kept: made.kept }
      : { kind: "direct", state: "MISS", answer: made.answer };
  }

  async function miss(entry: Prerendered, variant: Variant, asked: Asked): Promise<PrerenderAnswer> {
    const first = !renewing.has(variant.key);
    const made = await renew(entry, variant, asked);
    if ("kept" in made) return { kind: "kept", state: "MISS", kept: made.kept };
    // An answer that may not be shared belongs to the one who caused it.
    const answer = first ? made.answer : await call(entry, variant, asked);
    return { kind: "direct", state: "MISS", answer };
  }

  return {
    async answer(entry, asked, query) {
      const { req } = asked;
      const spec = entry.prerender;
      if (isPreview(req, spec)) return { kind: "bypass" };
      const variant = variantOf(entry.path, spec, query, req.rawHeaders);
      const demand = demandOf(req, spec);
      if (demand === null && req.method !== "GET" && req.method !== "HEAD") return { kind: "bypass" };
      const found = await store.get(variant.key);
      if (demand === "if-generated" && found === null && spec.fallback === null) return notGenerated(clock);
      if (demand !== null) return revalidate(entry, variant, asked);
      const shown = found ?? (await fallbackOf(spec, options.bornAtMs));
      if (shown === null) return miss(entry, variant, asked);
      // A fallback is the page itself, unless the page depends on a query: then it only stands in for it.
      const standIn = found === null && variant.query.size > 0;
      const freshness = standIn ? "stale" : freshnessOf(shown, spec.staleForS, clock.now().getTime());
      if (freshness === "gone") return miss(entry, variant, asked);
      if (freshness === "stale") renewBehind(entry, variant, asked);
      if (found === null && freshness === "fresh") await store.put(variant.key, shown);
      return { kind: "kept", state: stateOf(found !== null, standIn, freshness), kept: shown };
    },
  };
}

function stateOf(found: boolean, standIn: boolean, freshness: Freshness): CacheState {
  if (!found && (standIn || freshness === "fresh")) return "PRERENDER";
  return freshness === "fresh" ? "HIT" : "STALE";
}

function discard(made: Made): void {
  if ("answer" in made) made.answer.body.resume();
}

/** A page's data and its other forms are renewed with it, so that they fit together. */
function others(
  entries: readonly FunctionEntry[],
  { path, prerender: { group } }: Prerendered,
): Prerendered[] {
  if (group === null) return [];
  return entries.filter(
    (one): one is Prerendered => one.path !== path && one.prerender !== null && one.prerender.group === group,
  );
}

function isPreview(req: IncomingMessage, { bypassToken }: PrerenderSpec): boolean {
  const cookie = parseCookies(req.headers.cookie).__prerender_bypass;
  return cookie !== undefined && bypassToken !== null && isEqual(cookie, bypassToken);
}

function demandOf(req: IncomingMessage, { bypassToken }: PrerenderSpec): "always" | "if-generated" | null {
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
  };
}
