import { describe, expect, it } from "vitest";
import { type Entry, entryOf, structuredLine } from "./entry.ts";
import { groupByRequest, matchesRequest } from "./requests.ts";

const origin = {
  projectId: "prj_1",
  deploymentId: "dpl_1",
  environment: "production",
  branch: null,
  host: "shop-1.localhost",
};
let lines = 0;
const entry = (text: string, at = 1): Entry => entryOf({ id: String(++lines), at, text }, origin);
const structured = (changes: Partial<Parameters<typeof structuredLine>[0]>) =>
  entry(
    structuredLine({
      at: 5,
      level: "info",
      source: "serverless",
      requestId: "r1",
      method: "GET",
      host: "shop.localhost",
      path: "/soup",
      status: 0,
      message: "",
      ...changes,
    }),
  );
const everything = { levels: [], sources: [], statuses: [], text: "", requestId: "" };

describe("a line", () => {
  it.each([
    ["listening", "info"],
    ["Error: no", "error"],
    ["TypeError: x is not a function", "error"],
    ["[error] no", "error"],
    ["an error happened, and was handled", "info"],
    ["warn: slow", "warning"],
    ["FATAL no memory", "fatal"],
  ])("%j is of level %s", (text, level) => expect(entry(text).level).toBe(level));

  it("that only looks like ours is an app's own", () => {
    const text = '{"signalbox":"runtime" but not JSON';
    expect(entry(text)).toMatchObject({ message: text, at: 1, host: "shop-1.localhost" });
    expect(entry('{"signalbox":"runtime","level":"info"}').message).toContain("signalbox");
  });
});

describe("requests", () => {
  it("gather their lines; others stand alone, the newest first", () => {
    const found = groupByRequest([
      structured({ message: "one" }),
      entry("alone", 9),
      structured({ message: "two", level: "error" }),
      structured({ source: "request", status: 500, at: 7 }),
    ]);
    expect(found).toMatchObject([
      { requestId: "", lines: [{ message: "alone" }] },
      { requestId: "r1", at: 5, status: 500, lines: [{ message: "one" }, { level: "error" }] },
    ]);
  });

  it("are chosen by level, source, status, text and id", () => {
    const [request] = groupByRequest([
      structured({ message: "Too salty", level: "warning" }),
      structured({ source: "request", status: 404 }),
    ]);
    if (!request) throw new Error("no request");
    const matches = (changes: Partial<typeof everything>) =>
      matchesRequest(request, { ...everything, ...changes } as typeof everything);
    expect(matches({})).toBe(true);
    for (const statuses of [["404"], ["4xx"], ["400-499"], ["500", "404"]])
      expect(matches({ statuses } as never), String(statuses)).toBe(true);
    for (const statuses of [["5xx"], ["40"], ["500-599"]]) expect(matches({ statuses } as never)).toBe(false);
    expect(matches({ levels: ["warning"] } as never)).toBe(true);
    expect(matches({ levels: ["error"] } as never)).toBe(false);
    expect(matches({ sources: ["edge-function"] } as never)).toBe(false);
    expect(matches({ text: "SALTY" })).toBe(true);
    expect(matches({ text: "/soup" })).toBe(true);
    expect(matches({ requestId: "r2" })).toBe(false);
  });
});
