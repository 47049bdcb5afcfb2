import { expect, test } from "vitest";
import { edgeRule, UNCACHED, visitorHeaders } from "./edge-policy.ts";

test.each([
  [200, ["cache-control", "s-maxage=60"], [60, 60]],
  [200, ["Cache-Control", "S-MaxAge=60, Stale-While-Revalidate=30"], [60, 90]],
  [200, ["cache-control", "s-maxage=1, stale-while-revalidate"], [1, 31_536_001]],
  [404, ["cache-control", "public, max-age=60"], [60, 60]],
  [308, ["cache-control", "max-age=60, immutable"], [60, 60]],
  [200, ["cache-control", "public, max-age=9, s-maxage=60"], [60, 60]],
  [200, ["cache-control", "s-maxage=99999999999"], [31_536_000, 31_536_000]],
  [200, ["cache-control", "no-store", "cdn-cache-control", "max-age=60"], [60, 60]],
  [200, ["cdn-cache-control", "max-age=60", "vercel-cdn-cache-control", "max-age=5"], [5, 5]],
] as const)("an answer with status %i and %j is kept for %j seconds", (status, headers, times) => {
  const rule = edgeRule(status, headers);
  expect([rule?.freshForS, rule?.goneAfterS]).toEqual(times);
});

test.each([
  [200, []],
  [200, ["cache-control", "max-age=60"]],
  [200, ["cache-control", "s-maxage=0"]],
  [200, ["cache-control", "s-maxage=-5"]],
  [200, ["cache-control", "s-maxage=1e3"]],
  [200, ["cache-control", "private, s-maxage=60"]],
  [200, ["cache-control", "no-store, s-maxage=60"]],
  [200, ["cache-control", "s-maxage=60, no-cache"]],
  [200, ["cache-control", "s-maxage=60", "vercel-cdn-cache-control", "private"]],
  [500, ["cache-control", "s-maxage=60"]],
  [206, ["cache-control", "s-maxage=60"]],
  [200, ["cache-control", "s-maxage=60", "Set-Cookie", "a=1"]],
  [200, ["cache-control", "s-maxage=60", "vary", "*"]],
  [200, ["cache-control", "s-maxage=60", "vary", "accept, Cookie"]],
  [200, ["cache-control", "s-maxage=60", "content-length", String(10 * 2 ** 20 + 1)]],
] as const)("an answer with status %i and %j is not kept", (status, headers) => {
  expect(edgeRule(status, headers)).toBeNull();
});

test("what an answer depends on has one order", () => {
  expect(edgeRule(200, ["cache-control", "s-maxage=1", "vary", "RSC, Accept,rsc"])?.vary).toEqual([
    "accept",
    "rsc",
  ]);
});

test.each([
  [[], UNCACHED],
  [["cache-control", "s-maxage=60, stale-while-revalidate=5"], UNCACHED],
  [["cache-control", "public, s-maxage=60"], UNCACHED],
  [["cache-control", "public, max-age=9, s-maxage=60"], "public, max-age=9"],
  [["cache-control", "private, no-store"], "private, no-store"],
  [["vercel-cdn-cache-control", "max-age=5"], UNCACHED],
] as const)("of %j the visitor gets %s", (headers, control) => {
  expect(visitorHeaders(headers)).toEqual(["cache-control", control]);
});

test("other caches on the way get what was said to them", () => {
  const headers = ["CDN-Cache-Control", "max-age=5", "Vercel-Cache-Tag", "a", "x-own", "1"];
  expect(visitorHeaders(headers)).toEqual([
    ...["CDN-Cache-Control", "max-age=5", "x-own", "1"],
    ...["cache-control", UNCACHED],
  ]);
});
