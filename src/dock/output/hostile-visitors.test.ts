import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { startOutput } from "../../../test/support/build-output.ts";

/** What a visitor may try who knows how the platform works. */

test("a condition on a header of the platform does not believe a visitor", async () => {
  const forged = { src: "/", has: [{ type: "header", key: "x-vercel-ip-country", value: "DE" }] };
  await using server = await startOutput({
    config: { routes: [{ ...forged, dest: "/inside.html" }, { handle: "filesystem" }] },
    files: { "index.html": "outside", "inside.html": "inside" },
  });
  const answer = await server.ask("/", { headers: { "x-vercel-ip-country": "DE" } });
  expect(answer).toMatchObject({ status: 200, body: "outside" });
});

test("a body whose bytes are gone is not announced to a function: it would swallow the next request", async () => {
  const broken = `module.exports = async (req, res) => { for await (const part of req); throw new Error("late"); };`;
  const page = `module.exports = async (req, res) => {
    let text = ""; for await (const part of req) text += part;
    res.end("page " + req.method + " " + req.url + " " + JSON.stringify(text));
  };`;
  const plain = { shouldAddHelpers: false, maxDuration: 5 };
  await using server = await startOutput({
    config: {
      routes: [{ handle: "filesystem" }, { handle: "error" }, { status: 500, src: "/.*", dest: "/oops" }],
    },
    functions: {
      broken: { files: { "index.js": broken }, config: plain },
      oops: { files: { "index.js": page }, config: plain },
    },
  });
  const failed = await server.ask("/broken", { body: "a secret of this visitor" });
  expect(failed).toMatchObject({ status: 500, body: 'page POST /broken ""' });
  expect(await server.ask("/oops?next")).toMatchObject({ status: 200, body: 'page GET /oops?next ""' });
});

test("an image that a function makes is asked for without what belongs to the visitor", async () => {
  const draw = `module.exports = async (req, res) => {
    let text = ""; for await (const part of req) text += part;
    res.setHeader("content-type", "image/png");
    res.end(JSON.stringify([text, req.headers.cookie, req.headers["content-length"]]));
  };`;
  await using server = await startOutput({
    config: { images: { sizes: [16], domains: [] } },
    functions: { draw: { files: { "index.js": draw }, config: { shouldAddHelpers: false, maxDuration: 5 } } },
  });
  const headers = { cookie: "session=1", "content-length": "5" };
  const asked = { method: "GET", headers, body: "GET /" };
  const image = await server.ask("/_vercel/image?url=%2Fdraw&w=16&q=75", asked);
  expect(image).toMatchObject({ status: 200, body: '["",null,null]' });
});

test("a made-up token of revalidation does not get into what is kept for everybody", async () => {
  const echo = `module.exports = (req, res) => res.end("demanded by " + req.headers["x-prerender-revalidate"]);`;
  const bypassToken = "0123456789abcdef0123456789abcdef";
  await using server = await startOutput({
    functions: { page: echo },
    prerenders: { page: { expiration: false, bypassToken } },
  });
  await server.ask("/page", { headers: { "x-prerender-revalidate": "evil" } });
  expect(await server.ask("/page")).toMatchObject({ body: "demanded by undefined" });
  const renewed = await server.ask("/page", { headers: { "x-prerender-revalidate": bypassToken } });
  expect(renewed.body).toBe(`demanded by ${bypassToken}`);
});

test("the secret that opens a deployment is not told to the host of a rewrite", async () => {
  let seen: unknown = null;
  const other = http.createServer((req, res) => {
    seen = [req.url, req.headers["x-vercel-protection-bypass"]];
    res.end("other");
  });
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const dest = `http://127.0.0.1:${port}/to`;
  await using server = await startOutput(
    { config: { routes: [{ src: "/from", dest }] } },
    { SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8" },
  );
  const headers = { "x-vercel-protection-bypass": "secret" };
  const query = "a=1&x-vercel-protection-bypass=secret&x-vercel-set-bypass-cookie=true&b=%20";
  expect(await server.ask(`/from?${query}`, { headers })).toMatchObject({ status: 200, body: "other" });
  expect(seen).toEqual(["/to?a=1&b=%20", undefined]);
  other.close();
});

test("a body that a function does not read leaves no connection standing", async () => {
  await using server = await startOutput({
    functions: { deaf: "module.exports = (req, res) => res.end('heard nothing');" },
  });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const post = async (size: number) => {
    const request = http.request({ socketPath: server.socket, path: "/deaf", method: "POST", agent });
    request.end(Buffer.alloc(size));
    const [answer] = await once(request, "response");
    answer.resume();
    await once(answer, "end");
    return answer.statusCode;
  };
  // On one connection: the next request goes out when the body before it was taken off.
  for (const megabytes of [1, 2, 3, 4]) expect(await post(megabytes * 2 ** 20)).toBe(200);
  agent.destroy();
});
