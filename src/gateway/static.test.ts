import { describe, expect, it } from "vitest";
import { findFile } from "./find-file.ts";
import { chooseEncoding, isUnchanged, parseRange, rangeApplies } from "./preconditions.ts";
import { hostName, scanHeaders } from "./request-headers.ts";
import type { ManifestFile } from "./snapshot.ts";
import { answerFile } from "./static.ts";
import { decodePath, parseTarget } from "./url-path.ts";

const digest = (letter: string) => letter.repeat(40);
const file: ManifestFile = {
  digest: digest("a"),
  size: 1_000,
  type: "text/html; charset=utf-8",
  immutable: false,
  encodings: { br: { digest: digest("b"), size: 300 }, gzip: { digest: digest("c"), size: 400 } },
};
const answer = (headers: Record<string, string>, options: Partial<Parameters<typeof answerFile>[2]> = {}) => {
  const got = answerFile(file, headers, { status: 200, head: false, extra: {}, ...options });
  const pairs = Array.from({ length: got.headers.length / 2 }, (_, i) => got.headers.slice(2 * i, 2 * i + 2));
  return { status: got.status, body: got.body, headers: Object.fromEntries(pairs) as Record<string, string> };
};

describe("a static file", () => {
  it("comes with a strong ETag, its type, and the order to revalidate", () => {
    expect(answer({})).toMatchObject({
      status: 200,
      headers: {
        etag: `"${digest("a")}"`,
        "content-type": "text/html; charset=utf-8",
        "content-length": "1000",
        "cache-control": "public, max-age=0, must-revalidate",
        vary: "Accept-Encoding",
      },
    });
  });

  it("may be kept for a year when its name has a hash", () => {
    const { headers } = answerFile({ ...file, immutable: true }, {}, { status: 200, head: false, extra: {} });
    expect(headers).toContain("public, max-age=31536000, immutable");
  });

  it("is compressed as the client likes best, under an ETag of its own", () => {
    expect(answer({ "accept-encoding": "gzip, br" })).toMatchObject({
      headers: { "content-encoding": "br", etag: `"${digest("b")}"`, "content-length": "300" },
    });
    expect(answer({ "accept-encoding": "gzip;q=1, br;q=0.5" }).headers["content-encoding"]).toBe("gzip");
    expect(answer({ "accept-encoding": "identity" }).headers["content-encoding"]).toBeUndefined();
  });

  it("is not sent again to whom has it", () => {
    expect(answer({ "if-none-match": `W/"${digest("a")}"` })).toMatchObject({ status: 304, body: null });
    expect(answer({ "if-none-match": '"other"' }).status).toBe(200);
  });

  it("is sent in part when a part is asked for", () => {
    expect(answer({ range: "bytes=10-19" })).toMatchObject({
      status: 206,
      headers: { "content-range": "bytes 10-19/1000", "content-length": "10" },
      body: { range: { first: 10, last: 19 } },
    });
    expect(answer({ range: "bytes=1000-" })).toMatchObject({
      status: 416,
      headers: { "content-range": "bytes */1000" },
    });
    expect(answer({ range: "bytes=0-1", "if-range": '"stale"' }).status).toBe(200);
    expect(answer({ range: "bytes=0-1", "if-range": `"${digest("a")}"` }).status).toBe(206);
  });

  it("answers HEAD with the head alone", () => {
    expect(answer({}, { head: true })).toMatchObject({ body: null, headers: { "content-length": "1000" } });
  });

  it("of an error status is whole and unconditional", () => {
    expect(answer({ "if-none-match": "*", range: "bytes=0-1" }, { status: 404 })).toMatchObject({
      status: 404,
    });
  });

  it("takes the headers of routes, but not their length", () => {
    const { headers } = answer({}, { extra: { "cache-control": "no-store", "content-length": "1" } });
    expect(headers).toMatchObject({ "cache-control": "no-store", "content-length": "1000" });
  });
});

describe("parseRange", () => {
  it.each([
    ["bytes=0-0", { first: 0, last: 0 }],
    ["bytes=90-", { first: 90, last: 99 }],
    ["bytes=-5", { first: 95, last: 99 }],
    ["bytes=-500", { first: 0, last: 99 }],
    ["bytes=50-500", { first: 50, last: 99 }],
    ["bytes=100-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=9-3", null],
    ["bytes=0-1,5-6", null],
    ["bytes=-", null],
    ["items=0-1", null],
    [undefined, null],
  ])("%s of 100 bytes", (header, expected) => {
    expect(parseRange(header, 100)).toEqual(expected);
  });
});

describe("preconditions and encodings", () => {
  it("compare tags weakly for If-None-Match and strongly for If-Range", () => {
    expect(isUnchanged('"x", W/"y"', '"y"')).toBe(true);
    expect(isUnchanged(undefined, '"y"')).toBe(false);
    expect(rangeApplies('W/"y"', '"y"')).toBe(false);
  });

  it("never choose an encoding that is refused or absent", () => {
    expect(chooseEncoding("br;q=0, gzip", { br: 1, gzip: 1 })).toBe("gzip");
    expect(chooseEncoding("*", { gzip: 1 })).toBe("gzip");
    expect(chooseEncoding("br", { gzip: 1 })).toBeNull();
  });
});

describe("findFile", () => {
  const files = new Map(
    ["/index.html", "/about.html", "/docs/index.html", "/a.js"].map((path) => [path, file] as const),
  );
  it.each<[string, boolean, object]>([
    ["/", false, { kind: "file", path: "/index.html" }],
    ["/docs", false, { kind: "redirect", location: "/docs/" }],
    ["/docs/", false, { kind: "file", path: "/docs/index.html" }],
    ["/about", false, { kind: "none" }],
    ["/about", true, { kind: "file", path: "/about.html" }],
    ["/about/", true, { kind: "redirect", location: "/about" }],
    ["/about.html", true, { kind: "redirect", location: "/about" }],
    ["/docs", true, { kind: "file", path: "/docs/index.html" }],
    ["/docs/", true, { kind: "redirect", location: "/docs" }],
    ["/docs/index.html", true, { kind: "redirect", location: "/docs" }],
    ["/index.html", true, { kind: "redirect", location: "/" }],
    ["/a.js", true, { kind: "file", path: "/a.js" }],
    ["/../etc/passwd", false, { kind: "none" }],
    ["//docs", false, { kind: "none" }],
    ["/__proto__", true, { kind: "none" }],
  ])("%s with clean URLs %s", (path, cleanUrls, expected) => {
    expect(findFile({ files, cleanUrls }, path)).toEqual(expected);
  });
});

describe("paths, hosts and headers", () => {
  it.each([
    ["/a%20b", "/a b"],
    ["/%E2%82%AC", "/€"],
    ["/%", null],
    ["/%zz", null],
    ["/%ff", null],
    ["/a%00b", null],
    ["/..%2f..%2fetc", null],
    ["/..%5cetc", null],
    ["/a\\b", null],
  ])("%s decodes to %s", (path, expected) => {
    expect(decodePath(path)).toBe(expected);
  });

  it("takes the host of an absolute target, and no other form", () => {
    expect(parseTarget("http://a.b:1/x?y")).toEqual({ path: "/x", query: "?y", host: "a.b:1" });
    expect(parseTarget("*")).toBeNull();
    expect(parseTarget("http://user@host/")).toBeNull();
  });

  it.each([
    ["Shop.LOCALHOST:8080", "shop.localhost"],
    ["shop.localhost.", "shop.localhost"],
    ["[::1]:80", "[::1]"],
    ["a b", null],
    ["", null],
    ["a/b", null],
  ])("the host of %s is %s", (host, expected) => {
    expect(hostName(host)).toBe(expected);
  });

  it("drops hop-by-hop headers, those that Connection lists, and those that only a proxy may set", () => {
    const raw = {
      Host: "h",
      Connection: "close, X-Hop",
      "X-Hop": "1",
      "Keep-Alive": "1",
      TE: "trailers",
      Proxy: "http://evil",
      "X-Forwarded-For": "1.2.3.4",
      Forwarded: "for=1.2.3.4",
      "X-Real-IP": "1.2.3.4",
      "X-Kept": "2",
    };
    expect(scanHeaders(Object.entries(raw).flat())).toMatchObject({
      forward: ["Host", "h", "X-Kept", "2"],
      host: "h",
      hasBody: false,
    });
  });

  it("has no host when there are two", () => {
    expect(scanHeaders(["Host", "a", "host", "b"]).host).toBeNull();
  });
});
