import { expect, test } from "vitest";
import { count, createStory, duration, shareBars, tableLines } from "./story.ts";

test("bars show each version's share of the answers", () => {
  const counts = new Map([
    ["1", 75],
    ["2", 25],
  ]);
  expect(shareBars(counts, ["1", "2"], 8)).toBe("v1 ██████░░   75   v2 ██░░░░░░   25");
});

test("a version that answered once is seen, one that never did is not", () => {
  const bars = shareBars(
    new Map([
      ["1", 999],
      ["2", 1],
    ]),
    ["1", "2", "3"],
    4,
  );
  expect(bars).toBe("v1 ████  999   v2 █░░░    1   v3 ░░░░    0");
});

test("durations change their unit at a second", () => {
  expect(duration(12.4)).toBe("12 ms");
  expect(duration(7_940)).toBe("7.9 s");
  expect(count(12345)).toBe("12,345");
});

test("a table's figures stand under each other", () => {
  expect(
    tableLines([
      ["first deploy", "7.9 s"],
      ["rollback", "9 ms"],
    ]),
  ).toEqual(["first deploy  7.9 s", "rollback       9 ms"]);
});

test("without colours the story is plain text with numbered acts", () => {
  let text = "";
  const story = createStory((more) => {
    text += more;
  }, false);
  story.act("Start");
  story.command("npx signalbox up");
  story.act("Deploy");
  story.good("live");
  expect(text).toBe("\n1. Start\n   $ npx signalbox up\n\n2. Deploy\n   ✓ live\n");
});
