import { describe, expect, it } from "vitest";
import { canaryOverride, mayNameRelease, namedRelease } from "./asked.ts";
import { scanHeaders } from "./request-headers.ts";

const request = (query: string, headers: Record<string, string> = {}) => ({
  scanned: scanHeaders(Object.entries(headers).flat()),
  target: { query },
});

describe("the release that a request names", () => {
  it.each<[string, ReturnType<typeof request>, string | undefined, string | null]>([
    ["is in the query", request("?a=1&dpl=dpl_1"), "script", "dpl_1"],
    ["is in the header", request("", { "X-Deployment-Id": "dpl_2" }), undefined, "dpl_2"],
    ["is in the cookie", request("", { cookie: "a=b; __vdpl=dpl_3" }), "empty", "dpl_3"],
    ["header before query", request("?dpl=dpl_1", { "x-deployment-id": "dpl_2" }), "empty", "dpl_2"],
    ["query before cookie", request("?dpl=dpl_1", { cookie: "__vdpl=dpl_3" }), "empty", "dpl_1"],
    ["is none for a page that is navigated to", request("?dpl=dpl_1"), "document", null],
    ["is none for a parameter that only ends like it", request("?xdpl=dpl_1"), "script", null],
    ["is none for an empty one", request("?dpl="), "script", null],
  ])("%s", (_, asked, fetchDest, named) => {
    expect(mayNameRelease(asked.scanned, asked.target)).toBe(true);
    expect(namedRelease(asked.scanned, asked.target, fetchDest)).toBe(named);
  });

  it("is not looked for where nothing could name one", () => {
    const { scanned, target } = request("?page=2", { cookie: "session=1", accept: "*/*" });
    expect(mayNameRelease(scanned, target)).toBe(false);
  });
});

describe("the wish for the canary", () => {
  it.each<[string, Record<string, string>, string | null]>([
    ["by header", { "X-Signalbox-Canary": "always" }, "always"],
    ["by cookie", { cookie: "signalbox-canary=never" }, "never"],
    ["header before cookie", { "x-signalbox-canary": "never", cookie: "signalbox-canary=always" }, "never"],
    ["another word is none", { "x-signalbox-canary": "yes", cookie: "signalbox-canary=maybe" }, null],
    [
      "another word in the header leaves it to the cookie",
      { "x-signalbox-canary": "?", cookie: "signalbox-canary=always" },
      "always",
    ],
    ["none", {}, null],
  ])("%s", (_, headers, wish) => {
    expect(canaryOverride(request("", headers).scanned)).toBe(wish);
  });

  it("is not passed on to the app", () => {
    expect(request("", { "x-signalbox-canary": "always" }).scanned.forward).toEqual([]);
  });
});
