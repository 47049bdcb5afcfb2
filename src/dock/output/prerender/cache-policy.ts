import { headerOf, type RawHeaders, withoutHeaders } from "../headers.ts";
import type { Kept } from "../kept/kept-store.ts";
import { isTagHeader } from "../kept/tag-times.ts";
import type { PrerenderSpec } from "./prerender-config.ts";

/** What a prerender function's answer varies by, and what of the request its function may see. */
export type Variant = {
  readonly key: string;
  /** The allowed part of the query, sorted. */
  readonly query: URLSearchParams;
  /** Allowed headers of the request. */
  readonly headers: readonly string[];
};

export function variantOf(
  path: string,
  spec: PrerenderSpec,
  query: URLSearchParams,
  headers: RawHeaders,
): Variant {
  const allowed = new URLSearchParams();
  for (const [name, value] of query) {
    if (spec.allowQuery === null || spec.allowQuery.includes(name)) allowed.append(name, value);
  }
  allowed.sort();
  const kept = spec.allowHeader.toSorted().flatMap((name) => {
    const value = headerOf(headers, name);
    return value === null ? [] : [name, value];
  });
  return { key: JSON.stringify([path, allowed.toString(), kept]), query: allowed, headers: kept };
}

export type Freshness = "fresh" | "stale" | "gone";

export function freshnessOf(
  kept: Pick<Kept, "storedAtMs" | "freshForS">,
  staleForS: number | null,
  nowMs: number,
): Freshness {
  if (kept.freshForS === null) return "fresh";
  const ageS = (nowMs - kept.storedAtMs) / 1000;
  if (ageS < kept.freshForS) return "fresh";
  return staleForS !== null && ageS >= Math.max(staleForS, kept.freshForS) ? "gone" : "stale";
}

/**
 * For how long an answer is kept; undefined when it must not be. The function's own `s-maxage` wins over the
 * configuration, as when a page sets its time while it renders.
 */
export function keepFor(spec: PrerenderSpec, status: number, headers: RawHeaders): number | null | undefined {
  if (status >= 500 || status === 429) return undefined;
  const control = headerOf(headers, "cache-control")?.toLowerCase() ?? "";
  if (/\b(private|no-store|no-cache)\b/.test(control)) return undefined;
  const seconds = /\bs-maxage=(\d+)/.exec(control)?.[1];
  return seconds === undefined ? spec.expirationS : Number(seconds);
}

// Of one visitor, of the platform, or of the connection: nothing that a kept answer may repeat.
const NOT_KEPT = new Set(["set-cookie", "cache-control", "date", "x-vercel-id", "content-length"]);

export function keptHeaders(headers: RawHeaders): string[] {
  return withoutHeaders(headers, (name) => NOT_KEPT.has(name) || isTagHeader(name));
}
