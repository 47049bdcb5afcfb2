import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Answered, EDGE, open } from "../../../../test/support/build-output.ts";
import { serveMoved } from "../../../../test/support/moved-output.ts";

/** Counts its calls; its headers are what the query says. */
const COUNT = `let count = 0; module.exports = (req, res) => {
  const { searchParams } = new URL(req.url, "http://x");
  for (const [name, value] of searchParams) if (name !== "status") res.setHeader(name, value);
  res.statusCode = Number(globalThis.status ?? searchParams.get("status") ?? 200);
  res.end(String(++count));
};`;
const KEPT = "/api/count?cache-control=s-maxage%3D60";

const seen = ({ headers, body }: Answered) => [headers["x-vercel-cache"], body];

test("an answer that asks for it is kept for its time, and the browser is told to ask again", async () => {
  await using server = await serveMoved({ functions: { "api/count": COUNT } });
  const first = await server.ask(KEPT);
  expect(seen(first)).toEqual(["MISS", "1"]);
  server.pass(59);
  const kept = await server.ask(KEPT);
  expect([...seen(kept), kept.headers.age]).toEqual(["HIT", "1", "59"]);
  for (const { headers } of [first, kept]) {
    expect(headers["cache-control"]).toBe("public, max-age=0, must-revalidate");
    expect(headers["x-matched-path"]).toBe("/api/count");
  }
  const same = await server.ask(KEPT, { headers: { "if-none-match": String(kept.headers.etag) } });
  expect([same.status, same.body]).toEqual([304, ""]);
  const head = await server.ask(KEPT, { method: "HEAD" });
  expect([...seen(head), head.headers["content-length"]]).toEqual(["HIT", "", "1"]);
  server.pass(1);
  expect(seen(await server.ask(KEPT))).toEqual(["MISS", "2"]);
  await server.restart();
  expect(seen(await server.ask(KEPT))).toEqual(["HIT", "2"]);
});

test("with stale-while-revalidate an old answer is shown while one new one is made", async () => {
  await using server = await serveMoved({ functions: { "api/count": COUNT } });
  const path = "/api/count?cache-control=s-maxage%3D60,stale-while-revalidate%3D60";
  await server.ask(path);
  server.pass(61);
  const stale = await Promise.all([server.ask(path), server.ask(path)]);
  expect(stale.map(seen)).toEqual([
    ["STALE", "1"],
    ["STALE", "1"],
  ]);
  for (let shown = "1"; shown !== "2"; ) shown = (await server.ask(path)).body;
  expect(seen(await server.ask(path))).toEqual(["HIT", "2"]);
  server.pass(121);
  expect(seen(await server.ask(path))).toEqual(["MISS", "3"]);
});

test("a renewal that fails keeps the old answer; one that is not to be shared ends it", async () => {
  const source = `let answers = 0; module.exports = (req, res) => {
    const answer = ++answers;
    const control = answer === 3 ? "private" : "s-maxage=1, stale-while-revalidate=600";
    res.setHeader("cache-control", control); if (answer === 2) res.statusCode = 500;
    res.end(String(answer));
  };`;
  await using server = await serveMoved({ functions: { "api/x": source } });
  const until = async (fits: (answer: Answered) => boolean) => {
    for (;;) {
      const answer = await server.ask("/api/x");
      if (fits(answer)) return answer;
      expect(seen(answer)).toEqual(["STALE", "1"]);
    }
  };
  expect(seen(await server.ask("/api/x"))).toEqual(["MISS", "1"]);
  server.pass(2);
  // The second answer fails and the third is private: both behind the first one, which is shown meanwhile.
  const ended = await until(({ headers }) => headers["x-vercel-cache"] === "MISS");
  expect(seen(ended)).toEqual(["MISS", "4"]);
});

test("host, path and query each have an answer of their own", async () => {
  await using server = await serveMoved({ functions: { "api/count": COUNT, "api/edge": edge() } });
  const own = (host: string) => ({ headers: { host } });
  expect(seen(await server.ask(KEPT, own("a.example")))).toEqual(["MISS", "1"]);
  expect(seen(await server.ask(KEPT, own("b.example")))).toEqual(["MISS", "2"]);
  expect(seen(await server.ask(`${KEPT}&x-a=1`, own("a.example")))).toEqual(["MISS", "3"]);
  expect(seen(await server.ask(KEPT, own("a.example")))).toEqual(["HIT", "1"]);
  expect(seen(await server.ask("/api/edge"))).toEqual(["MISS", "edge"]);
  expect(seen(await server.ask("/api/edge"))).toEqual(["HIT", "edge"]);
});

function edge() {
  const source = `export default () => new Response("edge", { headers: { "cache-control": "s-maxage=60" } });`;
  return { files: { "index.js": source }, config: EDGE };
}

test("each value of a header that an answer varies by has its own answer", async () => {
  await using server = await serveMoved({ functions: { "api/count": COUNT } });
  const ask = async (rsc: string) => seen(await server.ask(`${KEPT}&vary=RSC`, { headers: { rsc } }));
  expect([await ask("0"), await ask("1"), await ask("0"), await ask("1")]).toEqual([
    ["MISS", "1"],
    ["MISS", "2"],
    ["HIT", "1"],
    ["HIT", "2"],
  ]);
});

test("requests with credentials, ranges, bodies or a preview get the function, and leave nothing", async () => {
  await using server = await serveMoved({ functions: { "api/count": COUNT } });
  const asked = [
    { headers: { authorization: "Bearer x" } },
    { headers: { range: "bytes=0-1" } },
    { headers: { cookie: "a=1; _vercel_no_cache=1" } },
    { headers: { cookie: "__prerender_bypass=x" } },
    { method: "POST" },
    { method: "HEAD" },
    { method: "GET", body: "x", headers: { "content-length": "1" } },
  ];
  for (const one of asked) expect((await server.ask(KEPT, one)).headers["x-vercel-cache"]).toBe("MISS");
  expect((await server.ask(`${KEPT}&_vercel_no_cache=1`)).headers["x-vercel-cache"]).toBe("MISS");
  expect(seen(await server.ask(KEPT))).toEqual(["MISS", "9"]);
  for (const one of asked.slice(0, 5)) {
    expect((await server.ask(KEPT, one)).headers["x-vercel-cache"]).toBe("MISS");
  }
});

test("an answer with a cookie, an error, or without a word about it is not kept", async () => {
  await using server = await serveMoved({ functions: { "api/count": COUNT } });
  for (const path of [`${KEPT}&set-cookie=a%3D1`, `${KEPT}&status=500`, "/api/count"]) {
    await server.ask(path);
    expect((await server.ask(path)).headers["x-vercel-cache"]).toBe("MISS");
  }
  expect(readdirSync(join(server.home, "cdn"))).toEqual([]);
});

test("a route's Cache-Control counts where the function says nothing", async () => {
  const routes = [
    { src: "/api/.*", headers: { "cache-control": "s-maxage=60" }, continue: true },
    { handle: "filesystem" },
  ];
  await using server = await serveMoved({ config: { routes }, functions: { "api/count": COUNT } });
  await server.ask("/api/count");
  const kept = await server.ask("/api/count");
  expect([...seen(kept), kept.headers["cache-control"]]).toEqual([
    "HIT",
    "1",
    "public, max-age=0, must-revalidate",
  ]);
});

test("the first visitor of a stream gets each part as it comes; the whole is kept", async () => {
  const source = `let go; module.exports = async (req, res) => {
    if (req.url.endsWith("go")) { go(); return res.end("went"); }
    res.setHeader("cache-control", "s-maxage=60"); res.write("first,");
    await new Promise((resolve) => { go = resolve; });
    res.end("last");
  };`;
  await using server = await serveMoved({ functions: { "api/stream": source } });
  const stream = await open(server.socket, "/api/stream");
  const parts = stream.iterator();
  expect(String((await parts.next()).value)).toBe("first,");
  await server.ask("/api/stream?go");
  expect(String((await parts.next()).value)).toBe("last");
  expect((await parts.next()).done).toBe(true);
  expect(seen(await server.ask("/api/stream"))).toEqual(["HIT", "first,last"]);
});

test("what is larger than 10 MB, or breaks off, reaches the visitor and is not kept", async () => {
  const source = `module.exports = (req, res) => {
    res.setHeader("cache-control", "s-maxage=60");
    if (req.url.endsWith("large")) return res.end(Buffer.alloc(10 * 2 ** 20 + 1));
    res.write("half"); setImmediate(() => res.destroy());
  };`;
  await using server = await serveMoved({ functions: { "api/x": source } });
  expect((await server.ask("/api/x?large")).body).toHaveLength(10 * 2 ** 20 + 1);
  expect((await server.ask("/api/x?large")).headers["x-vercel-cache"]).toBe("MISS");
  for (let count = 0; count < 2; count++) await expect(server.ask("/api/x?half")).rejects.toThrow("aborted");
  expect(readdirSync(join(server.home, "cdn"))).toEqual([]);
});
