import { describe, expect, test } from "vitest";
import { contentTypeOf, isCompressible } from "./content-type.ts";
import { isImmutable, isServed } from "./static-path.ts";

describe("a name with a content hash is kept for ever", () => {
  test.each([
    "/assets/index-BxK3a9_d.js",
    "/assets/vendor-react-D4f-8sQz.css",
    "/app.3f2a9c1b.css",
    "/static/js/main.0a1b2c3d.chunk.js",
    "/_astro/page.CkT2x9aB.js",
    "/chunk-0a1b2c3d4e5f6071.mjs",
    "/assets/index-BxK3a9_d.js.map",
  ])("%s", (path) => expect(isImmutable(path)).toBe(true));
  test.each([
    "/index.html",
    "/assets/logo.svg",
    "/assets/team-Photo123.png",
    "/assets/my-MyPhotos.png",
    "/assets/jquery-ui-widget2.js",
    "/assets/bootstrap-5.3.2.min.js",
    "/report.20240131.pdf",
    "/assets/image-12345678.png",
    "/fonts/inter-semibold.woff2",
    "/BxK3a9_d.js",
  ])("but not %s", (path) => expect(isImmutable(path)).toBe(false));
});

describe("a repository served as it is keeps back", () => {
  test.each([
    "package.json",
    ".env",
    ".env.local",
    "a/.env",
    ".git/config",
    "signalbox.yaml",
    "node_modules/a.js",
    ".x",
  ])("%s", (path) => expect(isServed(path, true)).toBe(false));
  test.each(["index.html", ".well-known/security.txt", "a/b.js"])("but not %s", (path) => {
    expect(isServed(path, true)).toBe(true);
  });
  test("an output directory only what is never meant to be seen", () => {
    expect(["package.json", ".nojekyll", ".env"].map((path) => isServed(path, false))).toEqual([
      true,
      true,
      false,
    ]);
  });
});

test("types carry the charset of text, and unknown ones are bytes", () => {
  expect(contentTypeOf("/a/INDEX.HTML")).toBe("text/html; charset=utf-8");
  expect(contentTypeOf("a.woff2")).toBe("font/woff2");
  expect(contentTypeOf("a.unheard")).toBe("application/octet-stream");
  expect(contentTypeOf("constructor")).toBe("application/octet-stream");
  expect(contentTypeOf("a.constructor")).toBe("application/octet-stream");
});

test("text in any form shrinks, media does not", () => {
  const shrinks = (path: string) => isCompressible(contentTypeOf(path));
  expect(["a.html", "a.js", "a.json", "a.svg", "a.wasm", "a.ttf", "a.rss"].every(shrinks)).toBe(true);
  expect(["a.png", "a.woff2", "a.mp4", "a.zip", "a.bin"].some(shrinks)).toBe(false);
});
