import { describe, expect, it } from "vitest";
import { silentLog } from "../../foundation/log.ts";
import { createBuildQueue } from "./build-queue.ts";

/** A queue whose builds end when the test says so. */
function testQueue(concurrency: number) {
  const builds = new Map<string, { end: () => void; signal: AbortSignal }>();
  const started: string[] = [];
  const queue = createBuildQueue({
    concurrency,
    log: silentLog,
    work: (id, signal) =>
      new Promise<void>((resolve) => {
        started.push(id);
        builds.set(id, { end: resolve, signal });
        signal.addEventListener("abort", () => resolve());
      }),
  });
  return { queue, builds, started };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("the build queue", () => {
  it("starts in order, never more than its concurrency", async () => {
    const { queue, builds, started } = testQueue(2);
    for (const id of ["a", "b", "c", "d"]) queue.add(id);
    expect(started).toEqual(["a", "b"]);
    builds.get("b")?.end();
    await turn();
    expect(started).toEqual(["a", "b", "c"]);
    expect(queue.waiting()).toBe(1);
  });

  it("a canceled build in the line never starts; a running one is aborted and makes room", async () => {
    const { queue, builds, started } = testQueue(1);
    for (const id of ["a", "b", "c"]) queue.add(id);
    queue.cancel("b");
    queue.cancel("a");
    await turn();
    expect(builds.get("a")?.signal.aborted).toBe(true);
    expect(started).toEqual(["a", "c"]);
  });

  it("work for an idle queue does not run beside a build, and holds back the builds that come meanwhile", async () => {
    const { queue, builds, started } = testQueue(1);
    queue.add("a");
    expect(await queue.whileIdle(async () => {})).toBe(false);
    builds.get("a")?.end();
    await turn();
    const gate = Promise.withResolvers<void>();
    const idle = queue.whileIdle(() => gate.promise);
    queue.add("b");
    expect(started).toEqual(["a"]);
    gate.resolve();
    expect(await idle).toBe(true);
    expect(started).toEqual(["a", "b"]);
  });

  it("closing aborts what runs and starts nothing more", async () => {
    const { queue, builds, started } = testQueue(1);
    queue.add("a");
    queue.add("b");
    await queue.close(new Error("the dock is closing"));
    expect(builds.get("a")?.signal.reason).toEqual(new Error("the dock is closing"));
    expect(started).toEqual(["a"]);
  });
});
