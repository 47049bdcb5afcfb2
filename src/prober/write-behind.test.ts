import { expect, test } from "vitest";
import { DEFAULT_POLICY, type FoldedRound, fold } from "../checks/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { silentLog } from "../foundation/log.ts";
import { createWriter } from "./write-behind.ts";

const round = (n: number): FoldedRound => {
  const attempts = [{ status: "up" as const, startedAt: n, latencyMs: 1 }];
  const base = {
    checkId: "chk_1",
    location: "local",
    scheduledAt: n,
    startedAt: n,
    lateMs: 0,
    endedAt: n + 1,
  };
  const one = { ...base, attempts, untrusted: null };
  const after = fold(null, one, DEFAULT_POLICY);
  return { round: one, check: { id: "chk_1", policy: DEFAULT_POLICY }, before: after, after };
};

function writer(record: (batch: readonly number[]) => Promise<readonly string[]>) {
  const refused: string[] = [];
  const made = createWriter({
    clock: systemClock,
    log: silentLog,
    record: async (batch) => ({ refused: await record(batch.map((one) => one.round.scheduledAt)) }),
    onRefused: (ids) => refused.push(...ids),
  });
  return {
    add: made.add.bind(made),
    flush: made.flush.bind(made),
    report: made.report.bind(made),
    close: made.close.bind(made),
    refused,
  };
}

test("what changed is written at once, with what waited before it", async () => {
  const first = Promise.withResolvers<readonly number[]>();
  const { add, close } = writer(async (batch) => {
    first.resolve(batch);
    return [];
  });
  const startedMs = systemClock.monotonicMs();
  add(round(1), false);
  add(round(2), true);
  expect(await first.promise).toEqual([1, 2]);
  expect(systemClock.monotonicMs() - startedMs).toBeLessThan(250);
  await close();
});

test("what comes while a batch is written waits for the next one, and is not written one by one", async () => {
  const batches: number[][] = [];
  const { add, flush, close } = writer(async (batch) => {
    batches.push([...batch]);
    const n = batches.length * 10;
    // As long as there is something to write, something comes.
    if (batches.length < 5) for (let more = 0; more < 3; more++) add(round(n + more), false);
    return [];
  });
  add(round(1), false);
  await flush();
  expect(batches).toEqual([[1]]);
  await flush();
  expect(batches).toEqual([[1], [10, 11, 12]]);
  await close();
});

test("while the database is away everything is kept in its order, and written once it is back", async () => {
  let isAway = true;
  const written: number[] = [];
  const back = Promise.withResolvers<void>();
  const { add, flush, report, close } = writer(async (batch) => {
    if (isAway) throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
    written.push(...batch);
    back.resolve();
    return [];
  });
  for (let n = 0; n < 5; n++) add(round(n), n === 2);
  await flush();
  expect(report()).toMatchObject({ unwritten: 5, dropped: 0 });
  isAway = false;
  // It tries again by itself.
  await back.promise;
  expect(written).toEqual([0, 1, 2, 3, 4]);
  await close();
});

test("one row that the database can never take does not keep the others from it", async () => {
  const written: number[] = [];
  const { add, flush, report, close } = writer(async (batch) => {
    if (batch.includes(3)) throw Object.assign(new Error("invalid input"), { code: "22P05" });
    written.push(...batch);
    return [];
  });
  for (let n = 0; n < 8; n++) add(round(n), false);
  await flush();
  expect(written).toEqual([0, 1, 2, 4, 5, 6, 7]);
  expect(report()).toMatchObject({ unwritten: 0, dropped: 1 });
  await close();
});

test("what is refused is told: another prober has taken over", async () => {
  const { add, flush, refused, close } = writer(async () => ["chk_1"]);
  add(round(1), false);
  await flush();
  expect(refused).toEqual(["chk_1"]);
  await close();
});

test("away for long, the oldest of those that changed nothing go first, and are counted", async () => {
  const { add, report, close } = writer(async () => {
    throw new Error("away");
  });
  const change = round(0);
  add({ ...change, before: null }, false);
  for (let n = 1; n <= 50_000; n++) add(round(n), false);
  const { unwritten, dropped } = report();
  expect(unwritten).toBeLessThanOrEqual(50_000);
  expect(unwritten + dropped).toBe(50_001);
  await close();
});
