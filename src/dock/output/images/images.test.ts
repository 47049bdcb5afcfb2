import http from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { startOutput } from "../../../../test/support/build-output.ts";
import { ImagesConfig, readImageRequest } from "./image-request.ts";

const BASE = { sizes: [64, 256], domains: ["cdn.test"] };
const servers: http.Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

describe("parameters", () => {
  const read = (query: string, more: object = {}) =>
    readImageRequest(new URLSearchParams(query), ImagesConfig.parse({ ...BASE, ...more }), "/_vercel/image");

  test.each([
    ["url=/a.png&q=75", '"w" parameter (width) is required'],
    ["url=/a.png&w=x&q=75", '"w" parameter (width) must be an integer greater than 0'],
    ["url=/a.png&w=64&w=64&q=75", '"w" parameter (width) cannot be an array'],
    ["url=/a.png&w=65&q=75", '"w" parameter (width) of 65 is not allowed'],
    ["url=/a.png&w=64", '"q" parameter (quality) is required'],
    ["url=/a.png&w=64&q=101", '"q" parameter (quality) must be a number between 1 and 100'],
    ["w=64&q=75", '"url" parameter is required'],
    ["url=//evil.test/a.png&w=64&q=75", '"url" parameter cannot be a protocol-relative URL (//)'],
    ["url=/_vercel/image%3Furl%3D/a.png&w=64&q=75", '"url" parameter cannot be recursive'],
    ["url=ftp://cdn.test/a.png&w=64&q=75", '"url" parameter is invalid'],
    ["url=https://other.test/a.png&w=64&q=75", '"url" parameter is not allowed'],
    ["url=https://cdn.test.evil.test/a.png&w=64&q=75", '"url" parameter is not allowed'],
    [`url=/${"a".repeat(4_000)}&w=64&q=75`, '"url" parameter is too long'],
  ])("%s is refused", (query, message) => {
    expect(read(query)).toBe(message);
  });

  test("local and remote images that are allowed are read", () => {
    expect(read("url=/a/b.png%3Fv%3D1&w=64&q=75")).toEqual({
      kind: "local",
      path: "/a/b.png",
      query: "?v=1",
      width: 64,
      quality: 75,
    });
    expect(read("url=https://cdn.test/a.png&w=256&q=1")).toMatchObject({ kind: "remote", width: 256 });
    expect(read("url=/../../etc/passwd&w=64&q=75")).toMatchObject({ path: "/etc/passwd" });
  });

  test.each([
    [{ hostname: "**.images.test" }, "https://a.b.images.test/x.png", true],
    [{ hostname: "*.images.test" }, "https://a.b.images.test/x.png", false],
    [{ hostname: "^(?:^(?:[^/]*?)\\.images\\.test)$" }, "https://a.images.test/x.png", true],
    [{ hostname: "one.test", protocol: "https" }, "http://one.test/x.png", false],
    [{ hostname: "one.test", port: "" }, "https://one.test:8443/x.png", false],
    [{ hostname: "one.test", pathname: "/account/**" }, "https://one.test/account/1/x.png", true],
    [{ hostname: "one.test", pathname: "/account/*" }, "https://one.test/account/1/x.png", false],
    [{ hostname: "one.test", search: "?v=1" }, "https://one.test/x.png?v=2", false],
  ])("remote pattern %j and %s: %s", (pattern, url, allowed) => {
    const query = `url=${encodeURIComponent(url)}&w=64&q=75`;
    expect(typeof read(query, { remotePatterns: [pattern] }) !== "string").toBe(allowed);
  });

  test("qualities and local patterns narrow what is allowed", () => {
    expect(read("url=/a.png&w=64&q=74", { qualities: [75] })).toBe(
      '"q" parameter (quality) of 74 is not allowed',
    );
    const localPatterns = [{ pathname: "/assets/**", search: "" }];
    expect(read("url=/b/a.png&w=64&q=75", { localPatterns })).toBe('"url" parameter is not allowed');
    expect(read("url=/assets/a.png&w=64&q=75", { localPatterns })).toMatchObject({ kind: "local" });
  });
});

test("a local image is passed through with an optimised one's headers; what is no image is refused", async () => {
  await using server = await startOutput({
    config: { images: { ...BASE, minimumCacheTTL: 90, contentDispositionType: "attachment" } },
    files: { "a.png": "not really a picture", "a.svg": "<svg/>", "a.html": "page" },
  });
  const image = await server.ask("/_vercel/image?url=/a.png&w=64&q=75");
  expect(image).toMatchObject({
    status: 200,
    body: "not really a picture",
    headers: {
      "content-type": "image/png",
      vary: "Accept",
      "cache-control": "public, max-age=90, must-revalidate",
      "content-disposition": 'attachment; filename="a.png"',
      "content-security-policy": expect.stringContaining("script-src 'none'"),
    },
  });
  const again = await server.ask("/_next/image?url=/a.png&w=64&q=75", {
    headers: { "if-none-match": String(image.headers.etag) },
  });
  expect(again.status).toBe(304);
  for (const url of ["/a.svg", "/a.html"]) {
    const refused = await server.ask(`/_vercel/image?url=${url}&w=64&q=75`);
    expect([refused.status, refused.headers["x-vercel-error"]]).toEqual([
      400,
      "INVALID_IMAGE_OPTIMIZE_REQUEST",
    ]);
  }
  expect((await server.ask("/_vercel/image?url=/none.png&w=64&q=75")).status).toBe(404);
  const wrong = await server.ask("/_vercel/image?url=/a.png&w=65&q=75");
  expect([wrong.status, wrong.body.split("\n")[0]]).toEqual([
    400,
    '"w" parameter (width) of 65 is not allowed',
  ]);
});

test("a remote image is fetched past the guard only, and each redirect is checked", async () => {
  const remote = http.createServer((req, res) => {
    if (req.url === "/away") return void res.writeHead(302, { location: "http://other.test/a.png" }).end();
    if (req.url === "/on") return void res.writeHead(302, { location: "/a.png" }).end();
    if (req.url === "/gone") return void res.writeHead(404).end();
    res.writeHead(200, { "content-type": "image/webp" }).end("remote");
  });
  servers.push(remote);
  await new Promise<void>((done) => remote.listen(0, "127.0.0.1", done));
  const { port } = remote.address() as { port: number };
  const config = { images: { ...BASE, domains: ["127.0.0.1"] } };
  const ask = (path: string) =>
    `/_vercel/image?url=${encodeURIComponent(`http://127.0.0.1:${port}${path}`)}&w=64&q=75`;
  await using open = await startOutput({ config }, { SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8" });
  expect(await open.ask(ask("/a.png"))).toMatchObject({
    status: 200,
    body: "remote",
    headers: { "content-type": "image/webp" },
  });
  expect((await open.ask(ask("/on"))).body).toBe("remote");
  expect((await open.ask(ask("/away"))).status).toBe(400);
  expect((await open.ask(ask("/gone"))).headers["x-vercel-error"]).toBe(
    "OPTIMIZED_EXTERNAL_IMAGE_REQUEST_FAILED",
  );
  await using guarded = await startOutput({ config });
  expect((await guarded.ask(ask("/a.png"))).status).toBe(400);
});
