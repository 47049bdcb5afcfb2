import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryDirectory } from "../../../test/support/trees.ts";
import { systemClock } from "../../foundation/clock.ts";
import { addLine, followLines, markLog, newLogTimes, readLines, rotateTimes } from "./app-lines.ts";
import { boundLog, logFile } from "./app-log.ts";

const at = (ms: number) => new Date(ms);

it("a line is as old as the first look that saw it", async () => {
  await using place = await temporaryDirectory();
  const [path, times] = [logFile(place.path), newLogTimes()];
  await writeFile(path, "before\n");
  await markLog(place.path, times, at(1_000));
  await appendFile(path, "first\nsecond\n");
  await markLog(place.path, times, at(2_000));
  await appendFile(path, "third\n");
  const lines = await readLines(place.path, times, at(3_000));
  expect(lines.map((line) => [line.text, line.at])).toEqual([
    ["before", 1_000],
    ["first", 2_000],
    ["second", 2_000],
    ["third", 3_000],
  ]);
  expect(new Set(lines.map((line) => line.id)).size).toBe(4);
});

it("lines keep their time when the log is bounded", async () => {
  await using place = await temporaryDirectory();
  const [path, times] = [logFile(place.path), newLogTimes()];
  await writeFile(path, "old and long\n");
  await markLog(place.path, times, at(1_000));
  if (await boundLog(place.path, 8)) rotateTimes(times);
  await appendFile(path, "new\n");
  await markLog(place.path, times, at(5_000));
  const lines = await readLines(place.path, times, at(9_000));
  expect(lines.map((line) => [line.text, line.at])).toEqual([
    ["old and long", 1_000],
    ["new", 5_000],
  ]);
});

it("a follower gets what comes, a whole line at a time, also from a log that was emptied", async () => {
  await using place = await temporaryDirectory();
  const [path, times] = [logFile(place.path), newLogTimes()];
  await writeFile(path, "before it follows\n");
  const ended = new AbortController();
  const following = { times: () => times, clock: systemClock, signal: ended.signal };
  const lines = await followLines(place.path, following);
  await appendFile(path, "one\ntwo, ");
  expect((await lines.next()).value).toMatchObject({ text: "one" });
  await appendFile(path, "whole\n");
  expect((await lines.next()).value).toMatchObject({ text: "two, whole" });
  await writeFile(path, "anew\n");
  expect((await lines.next()).value).toMatchObject({ text: "anew" });
  ended.abort();
  expect((await lines.next()).done).toBe(true);
});

it("a line of ours goes to a log that is there, and makes none", async () => {
  await using place = await temporaryDirectory();
  const [living, gone] = [join(place.path, "living"), join(place.path, "gone")];
  await mkdir(living);
  await addLine(living, "noted");
  await addLine(gone, "noted");
  expect((await readLines(living, newLogTimes(), at(1))).map((line) => line.text)).toEqual(["noted"]);
  expect(await readLines(gone, newLogTimes(), at(1))).toEqual([]);
});
