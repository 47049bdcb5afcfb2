import type { Exchange } from "../exchange.ts";
import { headerOf, type RawHeaders, withoutHeaders } from "../headers.ts";
import { isTagHeader } from "../kept/tag-times.ts";

/**
 * Which answers of plain functions Vercel's edge keeps, and for how long.
 * https://vercel.com/docs/caching/cdn-cache and https://vercel.com/docs/caching/cache-control-headers
 */
export type EdgeRule = {
  readonly freshForS: number;
  /** Until then it is shown while a new one is made. */
  readonly goneAfterS: number;
  /** Names of the request's headers that it depends on. */
  readonly vary: readonly string[];
};

export const UNCACHED = "public, max-age=0, must-revalidate";
/** Vercel's limit for an answer that is kept. */
export const LARGEST_BYTES = 10 * 2 ** 20;

const STATUSES = new Set([200, 301, 302, 307, 308, 404, 410]);
const YEAR_S = 31_536_000;
// The first of them that is there decides alone, as RFC 9213 says of targeted fields.
const TARGETED = ["vercel-cdn-cache-control", "cdn-cache-control"];
const NEVER = ["private", "no-store", "no-cache"];
// A visitor's own: each would be a variant of its own.
const UNVARIED = new Set(["*", "cookie", "authorization"]);
// For the edge alone. https://vercel.com/docs/caching/cache-control-headers
const CONSUMED = new Set(["s-maxage", "stale-while-revalidate"]);

/** A request whose answer may be a kept one. A preview, credentials or a part of a file may not. */
export function mayBeKept({ req, route, body }: Exchange): boolean {
  if ((route.method !== "GET" && route.method !== "HEAD") || body !== null) return false;
  const { range, authorization, cookie = "" } = req.headers;
  if (range !== undefined || authorization !== undefined) return false;
  return !/(^|[;\s])(_vercel_no_cache=1|__prerender_bypass=)/.test(cookie) && !asksForNew(route.query);
}

function asksForNew(query: string): boolean {
  return query.includes("_vercel_no_cache") && new URLSearchParams(query).get("_vercel_no_cache") === "1";
}

/** @returns null when the answer is not to be kept */
export function edgeRule(status: number, headers: RawHeaders): EdgeRule | null {
  if (!STATUSES.has(status) || headerOf(headers, "set-cookie") !== null) return null;
  const length = Number(headerOf(headers, "content-length") ?? 0);
  const names = (headerOf(headers, "vary") ?? "").toLowerCase().split(",");
  const vary = names.map((name) => name.trim()).filter((name) => name !== "");
  if (length > LARGEST_BYTES || vary.some((name) => UNVARIED.has(name))) return null;
  const times = timesOf(headers);
  return times === null ? null : { ...times, vary: [...new Set(vary)].sort() };
}

function timesOf(headers: RawHeaders): { freshForS: number; goneAfterS: number } | null {
  const targeted = TARGETED.find((name) => headerOf(headers, name) !== null);
  const said = directives(headerOf(headers, targeted ?? "cache-control") ?? "");
  if (NEVER.some((name) => said.has(name))) return null;
  const shared = said.get("s-maxage");
  const plain = targeted !== undefined || said.has("public") || said.has("immutable");
  const freshForS = secondsOf(shared ?? (plain ? said.get("max-age") : undefined));
  if (freshForS === 0) return null;
  const staleForS =
    said.get("stale-while-revalidate") === "" ? YEAR_S : secondsOf(said.get("stale-while-revalidate"));
  return { freshForS, goneAfterS: freshForS + staleForS };
}

function secondsOf(text: string | undefined): number {
  return text !== undefined && /^\d+$/.test(text) ? Math.min(Number(text), YEAR_S) : 0;
}

/** Name → value, `""` for one without. */
function directives(text: string): Map<string, string> {
  return new Map(
    text.split(",").map((part) => {
      const [name = "", value = ""] = part.split("=", 2);
      return [name.trim().toLowerCase(), value.trim().replace(/^"|"$/g, "")];
    }),
  );
}

/** What of a function's headers the visitor gets: nothing that was said to the edge alone. */
export function visitorHeaders(headers: RawHeaders): string[] {
  const control = headerOf(headers, "cache-control");
  const plain = withoutHeaders(
    headers,
    (name) => name === "cache-control" || name === "vercel-cdn-cache-control" || isTagHeader(name),
  );
  return [...plain, "cache-control", control === null ? UNCACHED : visitorControl(control)];
}

function visitorControl(control: string): string {
  const said = [...directives(control).keys()];
  if (!said.some((name) => CONSUMED.has(name))) return control;
  const parts = control.split(",").map((part) => part.trim());
  const left = parts.filter((part) => !CONSUMED.has(part.split("=")[0]?.trim().toLowerCase() ?? ""));
  return left.every((part) => part.toLowerCase() === "public" || part === "") ? UNCACHED : left.join(", ");
}
