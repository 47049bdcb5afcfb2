import { expect, test } from "vitest";
import { createStreams } from "./streams.ts";

/** Streams over two releases, and a clock whose sleeps end when the test says so. */
function setup() {
  let serving = "old";
  let keptMs = 0;
  const sleeps: { ms: number; end: () => void }[] = [];
  const clock = {
    sleep: (ms: number) => {
      const sleep = Promise.withResolvers<void>();
      sleeps.push({ ms, end: sleep.resolve });
      return sleep.promise;
    },
  };
  const keepsForMs = (_host: string, release: string) => (release === serving ? Infinity : keptMs);
  const streams = createStreams({ clock, keepsForMs });
  const ended: string[] = [];
  streams.add({ host: "h", release: "old", named: false, end: () => ended.push("old") });
  const serve = (release: string, kept = 0) => {
    serving = release;
    keptMs = kept;
    streams.drainMoved(1_000);
  };
  const timeUp = async () => {
    const sleep = sleeps.shift();
    sleep?.end();
    await Promise.resolve();
    return sleep?.ms;
  };
  return { serve, timeUp, ended };
}

test("a stream whose release lost its host is ended at the drain deadline", async () => {
  const { serve, timeUp, ended } = setup();
  serve("new");
  expect(ended).toEqual([]);
  expect(await timeUp()).toBe(1_000);
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

test("where the host keeps visitors at the release for longer, their streams go on for as long", async () => {
  const { serve, timeUp, ended } = setup();
  serve("new", 60_000);
  expect(await timeUp()).toBe(60_000);
  expect(ended).toEqual(["old"]);
});

test("a rollback ends that: they have the usual time from then on", async () => {
  const { serve, timeUp, ended } = setup();
  serve("new", 60_000);
  serve("new", 0);
  expect(await timeUp()).toBe(60_000);
  expect(ended).toEqual([]);
  expect(await timeUp()).toBe(1_000);
  expect(ended).toEqual(["old"]);
});
