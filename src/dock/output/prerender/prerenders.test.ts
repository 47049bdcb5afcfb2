import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Answered, HandMade } from "../../../../test/support/build-output.ts";
import { type MovedOutput, serveMoved } from "../../../../test/support/moved-output.ts";
import { temporaryDirectory } from "../../../../test/support/trees.ts";
import { openKeptStore } from "../kept/kept-store.ts";
import { keepFor, variantOf } from "./cache-policy.ts";
import type { PrerenderSpec } from "./prerender-config.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const opened: MovedOutput[] = [];

afterEach(async () => {
  for (const server of opened.splice(0)) await server[Symbol.asyncDispose]();
});

async function serverOf(made: HandMade): Promise<MovedOutput> {
  const server = await serveMoved(made);
  opened.push(server);
  return server;
}

/** Counts its calls. */
const PAGE = `let count = 0; module.exports = (req, res) => {
  count++;
  if (globalThis.failing || req.headers["x-allowed"] === "fail") { res.statusCode = 500; return res.end("broken"); }
  res.setHeader("content-type", "text/plain"); res.setHeader("set-cookie", "visitor=1");
  const { cookie, "x-now-route-matches": matches } = req.headers;
  res.end(JSON.stringify({ count, url: req.url, cookie, matches }));
};`;

const seen = ({ status, headers, body }: Answered) => [status, headers["x-vercel-cache"], countOf(body)];

function countOf(body: string): unknown {
  try {
    return JSON.parse(body).count;
  } catch {
    return body;
  }
}

/** A renewal in the background tells nobody when it is over: the page is asked for until it shows a later count. */
async function untilCount(ask: () => Promise<Answered>, count: number): Promise<Answered> {
  for (;;) {
    const answer = await ask();
    if (countOf(answer.body) === count) return answer;
  }
}

test("an answer is kept, shown while it is stale, and renewed once behind it", async () => {
  const server = await serverOf({
    functions: { page: PAGE },
    prerenders: { page: { expiration: 60, bypassToken: TOKEN } },
  });
  const ask = () => server.ask("/page");
  const first = await ask();
  expect(seen(first)).toEqual([200, "MISS", 1]);
  expect([first.headers["set-cookie"], first.headers["cache-control"]]).toEqual([
    undefined,
    "public, max-age=0, must-revalidate",
  ]);
  server.pass(59);
  const kept = await ask();
  expect([...seen(kept), kept.headers.age]).toEqual([200, "HIT", 1, "59"]);
  expect(
    (await server.ask("/page", { headers: { "if-none-match": String(kept.headers.etag) } })).status,
  ).toBe(304);
  server.pass(2);
  const stale = await Promise.all([ask(), ask(), ask()]);
  expect(stale.map(seen)).toEqual([
    [200, "STALE", 1],
    [200, "STALE", 1],
    [200, "STALE", 1],
  ]);
  const renewed = await untilCount(ask, 2);
  expect(seen(renewed)).toEqual([200, "HIT", 2]);
});

test("kept answers outlive the server, in whole files", async () => {
  const server = await serverOf({ functions: { page: PAGE }, prerenders: { page: { expiration: false } } });
  expect(seen(await server.ask("/page"))).toEqual([200, "MISS", 1]);
  await server.restart();
  expect(seen(await server.ask("/page"))).toEqual([200, "HIT", 1]);
  expect(readdirSync(join(server.home, "prerender")).filter((name) => name.startsWith("."))).toEqual([]);
  expect(existsSync(join(server.home, "prerender"))).toBe(true);
});

test("a fallback is the first answer, with its headers and status, until its time is over", async () => {
  const fallback = {
    expiration: 60,
    fallback: "page.prerender-fallback.html",
    initialStatus: 203,
    initialHeaders: { "x-first": "1" },
  };
  const server = await serverOf({
    functions: { page: PAGE },
    prerenders: { page: fallback },
    tree: { ".vercel/output/functions/page.prerender-fallback.html": "built" },
  });
  const first = await server.ask("/page");
  expect([...seen(first), first.headers["x-first"], first.headers["content-type"]]).toEqual([
    203,
    "PRERENDER",
    "built",
    "1",
    "text/html; charset=utf-8",
  ]);
  expect(seen(await server.ask("/page"))).toEqual([203, "HIT", "built"]);
  server.pass(61);
  expect(seen(await server.ask("/page"))).toEqual([203, "STALE", "built"]);
  await untilCount(() => server.ask("/page"), 1);
});

test("the key is what is allowed of query and headers; a fallback stands in for such a page", async () => {
  const config = {
    expiration: false,
    allowQuery: ["id"],
    allowHeader: ["x-allowed"],
    passQuery: true,
    fallback: "page.prerender-fallback.html",
  };
  const server = await serverOf({
    functions: { page: PAGE },
    prerenders: { page: config },
    tree: { ".vercel/output/functions/page.prerender-fallback.html": "shell" },
  });
  expect(seen(await server.ask("/page?id=1&utm=x"))).toEqual([200, "PRERENDER", "shell"]);
  const page = await untilCount(() => server.ask("/page?utm=y&id=1"), 1);
  expect(JSON.parse(page.body)).toMatchObject({ url: "/page?id=1", matches: "id=1" });
  expect(JSON.parse(page.body).cookie).toBeUndefined();
  await untilCount(() => server.ask("/page?id=2"), 2);
  await untilCount(() => server.ask("/page?id=1", { headers: { "x-allowed": "other" } }), 3);
});

test("a failure keeps the stale answer; without one it is shown and not kept", async () => {
  const source = PAGE.replace("count++;", "count++; if (count > 1) globalThis.failing = true;");
  const server = await serverOf({
    functions: { page: source },
    prerenders: { page: { expiration: 1, allowHeader: ["x-allowed"] } },
  });
  const fail = { headers: { "x-allowed": "fail" } };
  expect(seen(await server.ask("/page"))).toEqual([200, "MISS", 1]);
  server.pass(10);
  expect(seen(await server.ask("/page"))).toEqual([200, "STALE", 1]);
  expect(seen(await server.ask("/page", fail))).toEqual([500, "MISS", "broken"]);
  expect(seen(await server.ask("/page", fail))).toEqual([500, "MISS", "broken"]);
  expect(seen(await server.ask("/page"))).toEqual([200, "STALE", 1]);
});

test("the bypass token shows previews and renews on demand; a group is renewed together", async () => {
  const config = { expiration: false, group: 1, bypassToken: TOKEN };
  const server = await serverOf({
    functions: { page: PAGE, "page.rsc": PAGE },
    prerenders: { page: config, "page.rsc": config },
  });
  expect(seen(await server.ask("/page"))).toEqual([200, "MISS", 1]);
  expect(seen(await server.ask("/page.rsc"))).toEqual([200, "MISS", 1]);
  const preview = await server.ask("/page?a=1", {
    headers: { cookie: `other=1; __prerender_bypass=${TOKEN}` },
  });
  expect(seen(preview)).toEqual([200, "BYPASS", 2]);
  expect(JSON.parse(preview.body)).toMatchObject({
    url: "/page?a=1",
    cookie: expect.stringContaining("other=1"),
  });
  expect(seen(await server.ask("/page", { headers: { cookie: "__prerender_bypass=guess" } }))).toEqual([
    200,
    "HIT",
    1,
  ]);
  expect(seen(await server.ask("/page", { headers: { "x-prerender-revalidate": "guess" } }))).toEqual([
    200,
    "HIT",
    1,
  ]);
  const renewed = await server.ask("/page", { method: "HEAD", headers: { "x-prerender-revalidate": TOKEN } });
  expect([renewed.status, renewed.headers["x-vercel-cache"]]).toEqual([200, "REVALIDATED"]);
  expect(seen(await server.ask("/page"))).toEqual([200, "HIT", 3]);
  expect(seen(await server.ask("/page.rsc"))).toEqual([200, "HIT", 2]);
  const headers = { "x-prerender-revalidate": TOKEN, "x-prerender-revalidate-if-generated": "1" };
  expect((await server.ask("/page?never=1", { headers })).status).toBe(404);
  expect(seen(await server.ask("/page", { method: "POST" }))).toEqual([200, "BYPASS", 4]);
});

const SPEC: PrerenderSpec = {
  ...{
    expirationS: 60,
    staleForS: null,
    group: null,
    bypassToken: null,
    allowQuery: null,
    allowHeader: [],
    passQuery: false,
    fallback: null,
  },
};

test.each([
  [200, [], 60],
  [404, [], 60],
  [500, [], undefined],
  [200, ["Cache-Control", "s-maxage=5, stale-while-revalidate"], 5],
  [200, ["cache-control", "private, no-cache, no-store, max-age=0"], undefined],
] as const)("an answer with status %i and %j is kept for %s", (status, headers, seconds) => {
  expect(keepFor(SPEC, status, headers)).toBe(seconds);
});

test("the order of a query's parameters makes no other variant", () => {
  const key = (query: string) => variantOf("/p", SPEC, new URLSearchParams(query), []).key;
  expect(key("a=1&b=2")).toBe(key("b=2&a=1"));
  expect(key("a=1&b=2")).not.toBe(key("a=1"));
});

test("the store is bounded: the least recently used answers make way", async () => {
  await using place = await temporaryDirectory();
  const limits = { memoryBytes: 1_000, diskBytes: 4_000 };
  const store = openKeptStore(place.path, limits);
  const kept = {
    status: 200,
    headers: [],
    body: Buffer.alloc(1_000, "x"),
    storedAtMs: 0,
    freshForS: null,
    tags: [],
  };
  for (const key of ["a", "b", "c"]) await store.put(key, kept);
  expect((await store.get("a"))?.body).toHaveLength(1_000);
  await store.put("d", kept);
  expect(await store.get("b")).toBeNull();
  expect(await store.get("a")).toMatchObject({ status: 200 });
  const again = openKeptStore(place.path, limits);
  expect((await again.get("d"))?.body).toHaveLength(1_000);
  const few = openKeptStore(join(place.path, "few"), { ...limits, files: 2 });
  for (const key of ["a", "b", "c"]) await few.put(key, kept);
  const found = async () => Promise.all(["a", "b", "c"].map(async (key) => (await few.get(key)) !== null));
  expect(await found()).toEqual([false, true, true]);
  await few.delete("b");
  expect(await found()).toEqual([false, false, true]);
});
