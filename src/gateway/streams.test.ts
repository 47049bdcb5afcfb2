import { expect, test } from "vitest";
import { createStreams } from "./streams.ts";

/** Streams over two releases, and a clock whose sleeps end when the test says so. */
function setup() {
  let serving = "old";
  const sleeps: (() => void)[] = [];
  const clock = {
    sleep: () => {
      const sleep = Promise.withResolvers<void>();
      sleeps.push(sleep.resolve);
      return sleep.promise;
    },
  };
  const streams = createStreams({ clock, isTarget: (_host, release) => release === serving });
  const ended: string[] = [];
  streams.add({ host: "h", release: "old", end: () => ended.push("old") });
  const serve = (release: string) => {
    serving = release;
    streams.drainMoved(1_000);
  };
  const timeUp = async () => {
    sleeps.shift()?.();
    await Promise.resolve();
  };
  return { serve, timeUp, ended };
}

test("a stream whose release lost its host is ended at the drain deadline", async () => {
  const { serve, timeUp, ended } = setup();
  serve("new");
  expect(ended).toEqual([]);
  await timeUp();
  expect(ended).toEqual(["old"]);
});

test("a release that comes back keeps its streams; leaving again, it has its whole drain time again", async () => {
  const { serve, timeUp, ended } = setup();
  serve("new");
  serve("old");
  serve("new");
  await timeUp();
  expect(ended).toEqual([]);
  await timeUp();
  expect(ended).toEqual(["old"]);
});
