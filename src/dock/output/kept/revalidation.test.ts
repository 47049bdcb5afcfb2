import { join } from "node:path";
import { expect, test } from "vitest";
import { type Answered, EDGE } from "../../../../test/support/build-output.ts";
import { serveMoved } from "../../../../test/support/moved-output.ts";
import { temporaryDirectory } from "../../../../test/support/trees.ts";
import { systemClock } from "../../../foundation/clock.ts";
import { cleanTags, openTagTimes, tagsOf } from "./tag-times.ts";

/** Counts its calls, and says its tags as Next.js does. */
const PAGE = `let count = 0; module.exports = (req, res) => {
  res.setHeader("x-next-cache-tags", "posts,_N_T_/page"); res.end(String(++count));
};`;

/** What Next.js's `revalidateTag` does on its platform, with the body as arguments. */
const REVALIDATE = `module.exports = async (req, res) => {
  const { FetchCache } = globalThis[Symbol.for("@next/cache-handlers")];
  await new FetchCache({ revalidatedTags: [] }).revalidateTag(...req.body); res.end("done");
};`;

const MADE = {
  functions: { page: PAGE, "api/revalidate": REVALIDATE },
  prerenders: { page: { expiration: false } },
};
const json = (body: unknown) => ({
  body: JSON.stringify(body),
  headers: { "content-type": "application/json" },
});
const seen = ({ headers, body }: Answered) => [headers["x-vercel-cache"], body];

test("a tag that a function revalidates makes a page anew, and no visitor sees the tags", async () => {
  await using server = await serveMoved(MADE);
  const first = await server.ask("/page");
  expect(seen(first)).toEqual(["MISS", "1"]);
  expect(first.headers["x-next-cache-tags"]).toBeUndefined();
  expect(seen(await server.ask("/page"))).toEqual(["HIT", "1"]);
  await server.ask("/api/revalidate", json(["other"]));
  expect(seen(await server.ask("/page"))).toEqual(["HIT", "1"]);
  await server.ask("/api/revalidate", json([["_N_T_/page"]]));
  server.pass(1);
  expect(seen(await server.ask("/page"))).toEqual(["REVALIDATED", "2"]);
  expect(seen(await server.ask("/page"))).toEqual(["HIT", "2"]);
});

test("with a profile the page is shown until its time is over, while it is made anew", async () => {
  await using server = await serveMoved(MADE);
  await server.ask("/page");
  await server.ask("/api/revalidate", json(["posts", { expire: 60 }]));
  server.pass(1);
  expect(seen(await server.ask("/page"))).toEqual(["STALE", "1"]);
  for (let shown = "1"; shown !== "2"; ) shown = (await server.ask("/page")).body;
  expect(seen(await server.ask("/page"))).toEqual(["HIT", "2"]);
  await server.ask("/api/revalidate", json(["posts", { expire: 60 }]));
  server.pass(61);
  expect(seen(await server.ask("/page"))).toEqual(["REVALIDATED", "3"]);
});

test("a page of the build is revalidated by its initial tags, and a restart forgets no revalidation", async () => {
  const fallback = {
    expiration: false,
    fallback: "page.html",
    initialHeaders: { "x-next-cache-tags": "posts" },
  };
  await using server = await serveMoved({
    ...MADE,
    prerenders: { page: fallback },
    tree: { ".vercel/output/functions/page.html": "built" },
  });
  const built = await server.ask("/page");
  expect([...seen(built), built.headers["x-next-cache-tags"]]).toEqual(["PRERENDER", "built", undefined]);
  await server.ask("/api/revalidate", json(["posts"]));
  await server.restart();
  server.pass(1);
  expect(seen(await server.ask("/page"))).toEqual(["REVALIDATED", "1"]);
});

test("what fetch got is kept for every function until one of its tags is revalidated", async () => {
  const source = `module.exports = async (req, res) => {
    const cache = new (globalThis[Symbol.for("@next/cache-handlers")].FetchCache)({});
    const context = { kind: "FETCH", tags: ["posts"], softTags: ["_N_T_/page"] };
    if (req.method === "PUT") await cache.set("key", { kind: "FETCH", data: { body: req.body }, revalidate: 9 },
      { fetchCache: true, tags: ["posts"] });
    const found = await cache.get("key", context);
    res.json(found && [found.value.data.body, found.lastModified < 0]);
  };`;
  await using server = await serveMoved({
    functions: { one: source, two: source, "api/revalidate": REVALIDATE },
  });
  const get = async (path: string) => JSON.parse((await server.ask(path)).body);
  const put = () => server.ask("/one", { ...json("kept"), method: "PUT" });
  expect(await get("/one")).toBeNull();
  await put();
  expect(await get("/two")).toEqual(["kept", false]);
  await server.restart();
  expect(await get("/two")).toEqual(["kept", false]);
  await server.ask("/api/revalidate", json(["posts", { expire: 60 }]));
  expect(await get("/two")).toEqual(["kept", true]);
  server.pass(1);
  await put();
  expect(await get("/two")).toEqual(["kept", false]);
  await server.ask("/api/revalidate", json(["_N_T_/page"]));
  expect(await get("/two")).toBeNull();
});

test("results of use cache are kept as bytes, for all functions", async () => {
  const source = `module.exports = async (req, res) => {
    const { DefaultCache: cache } = globalThis[Symbol.for("@next/cache-handlers")];
    if (req.method === "PUT") {
      const head = { tags: ["posts"], stale: 1, timestamp: Date.parse("2030-01-01"), expire: 600, revalidate: 60 };
      const done = cache.set("key", Promise.resolve({ ...head, value: new Blob(["by", "tes"]).stream() }));
      await cache.get("key", []); await done;
    }
    if (req.method === "DELETE") await cache.updateTags(["posts"]);
    const found = await cache.get("key", ["_N_T_/soft"]);
    res.json(found ? [await new Response(found.value).text(), found.revalidate, found.tags] : null);
  };`;
  await using server = await serveMoved({ functions: { one: source, two: source } });
  const ask = async (path: string, method = "GET") => JSON.parse((await server.ask(path, { method })).body);
  expect(await ask("/one")).toBeNull();
  expect(await ask("/one", "PUT")).toEqual(["bytes", 60, ["posts"]]);
  expect(await ask("/two")).toEqual(["bytes", 60, ["posts"]]);
  expect(await ask("/two", "DELETE")).toBeNull();
});

test("the runtime cache, purging and tags of @vercel/functions reach the same place", async () => {
  const context = `globalThis[Symbol.for("@vercel/request-context")].get()`;
  const source = `module.exports = async (req, res) => {
    const { cache, purge, addCacheTag } = ${context};
    const { searchParams } = new URL(req.url, "http://x");
    if (searchParams.has("set")) await cache.set("key", { a: 1 }, { ttl: 60, tags: ["data"], name: "key" });
    if (searchParams.has("delete")) await cache.delete("key");
    if (searchParams.has("expire")) await cache.expireTag("data");
    if (searchParams.has("purge")) await purge.dangerouslyDeleteByTag(["page"]);
    if (searchParams.has("invalidate")) await purge.invalidateByTag("page");
    await addCacheTag("page"); await addCacheTag(["a", "b"]);
    res.setHeader("cache-control", "s-maxage=600"); res.json([await cache.get("key")]);
  };`;
  await using server = await serveMoved({ functions: { "api/x": source } });
  let count = 0;
  const value = async (query: string) =>
    JSON.parse((await server.ask(`/api/x?${query}&n=${count++}`)).body)[0];
  expect(await value("")).toBeNull();
  expect([await value("set"), await value("")]).toEqual([{ a: 1 }, { a: 1 }]);
  expect(await value("delete")).toBeNull();
  await value("set");
  expect([await value("expire"), await value("")]).toEqual([null, null]);
  server.pass(1);
  await value("set");
  server.pass(61);
  expect(await value("")).toBeNull();

  const page = async () => (await server.ask("/api/x")).headers;
  const first = await page();
  expect([first["x-vercel-cache"], first["vercel-cache-tag"]]).toEqual(["MISS", undefined]);
  expect((await page())["x-vercel-cache"]).toBe("HIT");
  await value("purge");
  server.pass(1);
  expect((await page())["x-vercel-cache"]).toBe("REVALIDATED");
  await value("invalidate");
  server.pass(1);
  expect((await page())["x-vercel-cache"]).toBe("STALE");
});

test("a function renews a page by asking for it as Next.js's pages router does, whatever guards its host", async () => {
  const token = "0123456789abcdef";
  const source = `module.exports = async (req, res) => {
    const init = { method: "HEAD", headers: { "x-prerender-revalidate": req.query.token } };
    const answer = await fetch("https://" + req.headers.host + "/page", init);
    res.json([answer.status, answer.headers.get("x-vercel-cache")]);
  };`;
  await using server = await serveMoved({
    functions: { page: PAGE, "api/renew": source },
    prerenders: { page: { expiration: false, bypassToken: token } },
  });
  const renew = async (given: string) => JSON.parse((await server.ask(`/api/renew?token=${given}`)).body);
  expect(seen(await server.ask("/page"))).toEqual(["MISS", "1"]);
  expect(await renew("guess")).toEqual([200, "HIT"]);
  expect(await renew(token)).toEqual([200, "REVALIDATED"]);
  expect(seen(await server.ask("/page"))).toEqual(["HIT", "2"]);
});

test("edge functions revalidate as well", async () => {
  const source = `export default async () => {
    const { FetchCache } = globalThis[Symbol.for("@next/cache-handlers")];
    await new FetchCache({}).revalidateTag("posts"); return new Response("done");
  };`;
  await using server = await serveMoved({
    ...MADE,
    functions: { page: PAGE, "api/edge": { files: { "index.js": source }, config: EDGE } },
  });
  await server.ask("/page");
  expect((await server.ask("/api/edge")).body).toBe("done");
  server.pass(1);
  expect(seen(await server.ask("/page"))).toEqual(["REVALIDATED", "2"]);
});

test("tags: the header's names are cleaned, and forgotten changes count for everything of their time", async () => {
  expect(tagsOf(["X-Next-Cache-Tags", "a, b,,a", "Vercel-Cache-Tag", "c"])).toEqual(["a", "b", "c"]);
  expect(cleanTags(["x".repeat(257), " y "])).toEqual(["y"]);
  await using place = await temporaryDirectory();
  let now = 1_000;
  const clock = { ...systemClock, now: () => new Date(now) };
  const file = join(place.path, "tags.json");
  const tags = openTagTimes(file, clock, 2);
  await tags.change(["a"], null);
  now = 2_000;
  await tags.change(["b"], 10);
  now = 3_000;
  const states = () => [
    tags.stateOf(["a"], 999),
    tags.stateOf(["a"], 1_001),
    tags.stateOf(["b"], 1_999),
    tags.stateOf([], 0),
  ];
  expect(states()).toEqual(["stale", "fresh", "stale", "fresh"]);
  now = 12_000;
  expect([tags.stateOf(["b"], 1_999), tags.stateOf(["b"], 2_001)]).toEqual(["gone", "fresh"]);
  await tags.change(["b"], null);
  expect([tags.stateOf(["b"], 1_999), tags.stateOf(["b"], 2_001)]).toEqual(["gone", "stale"]);
  await tags.change(["c"], 0);
  expect(states()).toEqual(["gone", "fresh", "gone", "fresh"]);
  expect(openTagTimes(file, clock, 2).stateOf(["other"], 999)).toBe("gone");
});
