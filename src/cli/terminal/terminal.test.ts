import pc from "picocolors";
import { expect, test } from "vitest";
import { createPaint } from "./paint.ts";
import { phaseLines } from "./phases.ts";
import { formatAge, formatBar, formatBytes, formatCount, formatDuration } from "./quantity.ts";
import { createScreen } from "./screen.ts";
import { formatTable } from "./table.ts";
import { cutToWidth, harmless, widthOf } from "./width.ts";

test.each([
  [0, "0 ms"],
  [999.4, "999 ms"],
  [999.6, "1.0 s"],
  [12_340, "12.3 s"],
  [59_949, "59.9 s"],
  [59_960, "1 m 00 s"],
  [185_000, "3 m 05 s"],
  [7_440_000, "2 h 04 m"],
])("%d ms is %s", (ms, text) => expect(formatDuration(ms)).toBe(text));

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1.0 kB"],
  [12_345, "12 kB"],
  [999_600, "1.0 MB"],
  [3.21e9, "3.2 GB"],
])("%d bytes are %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [5, "5s"],
  [65, "1m"],
  [7_300, "2h"],
  [200_000, "2d"],
  [-9, "0s"],
])("%d s ago is %s", (seconds, text) => {
  const now = new Date("2026-01-05T00:00:00Z");
  expect(formatAge(new Date(now.getTime() - seconds * 1_000).toISOString(), now)).toBe(text);
});

test("counts and bars", () => {
  expect(formatCount(1, "file")).toBe("1 file");
  expect(formatCount(5_012, "file")).toBe("5,012 files");
  expect(formatBar(0.5, 4)).toBe("██░░");
  expect(formatBar(7, 4)).toBe("████");
});

test("a table lines up although cells are coloured", () => {
  const colours = pc.createColors(true);
  const lines = formatTable(
    ["A", "LONG"],
    [
      [colours.red("xyz"), "1"],
      ["x", colours.green("22")],
    ],
    pc.createColors(false),
  );
  expect(lines.map(harmless)).toEqual(["A    LONG", "xyz  1", "x    22"]);
});

test("a text is cut to the width it is given, its colours closed", () => {
  const text = pc.createColors(true).red("abcdef");
  expect(cutToWidth("abc", 3)).toBe("abc");
  expect(cutToWidth("abcd", 3)).toBe("ab…");
  expect(widthOf(cutToWidth(text, 4))).toBe(4);
  expect(cutToWidth(text, 4).endsWith("\u001b[0m")).toBe(true);
});

test("a stranger's log line can move no cursor", () => {
  expect(harmless("a\u001b[2J\u001b]0;title\u0007b\rc\td")).toBe("abc\td");
});

test("without a terminal there is no colour and no moving line", () => {
  let written = "";
  const screen = createScreen({ isTTY: false, stderr: { write: (text) => (written += text) } });
  screen.moving(() => "spinning");
  screen.line("done");
  screen.close();
  expect(written).toBe("done\n");
  expect(createPaint(false).red("x")).toBe("x");
});

const phase = (state: string, durationMs: number | null) => ({
  state,
  at: "2026-01-01T00:00:00Z",
  durationMs,
});

test.each([
  ["building", [phase("queued", 1), phase("building", null)], ["done", "now"]],
  ["failed", [phase("queued", 1), phase("building", 9), phase("failed", null)], ["done", "broken"]],
  ["live", [phase("shifting", 5), phase("live", null)], ["done"]],
  ["rolling_back", [phase("shifting", 5), phase("rolling_back", null)], ["broken", "now"]],
  [
    "rolled_back",
    [phase("shifting", 5), phase("rolling_back", 3), phase("rolled_back", null)],
    ["broken", "done"],
  ],
  ["failed", [phase("building", null)], ["broken"]],
])("in %s the phases %j are %j", (state, phases, outcomes) => {
  expect(phaseLines({ state, phases, reused: false }).map(({ outcome }) => outcome)).toEqual(outcomes);
});

test("a build that was not needed says so", () => {
  const phases = [phase("building", 3), phase("live", null)];
  expect(phaseLines({ state: "live", phases, reused: true })[0]?.label).toContain("reused");
});
