import { expect, test } from "vitest";
import { DEFAULT_POLICY, type Outcome, type Policy } from "../checks/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { type Look, runRound } from "./run-round.ts";
import { createTimeline } from "./timeline.ts";

const UP: Outcome = { status: "up" };
const REFUSED: Outcome = { status: "down", failure: { class: "refused", message: "Nobody listens." } };

function round(look: Look, options: { policy?: Partial<Policy>; isDown?: boolean; stalledMs?: number } = {}) {
  const stop = new AbortController();
  const places = { taken: 1, doubts: 0 };
  const done = runRound(
    {
      clock: systemClock,
      timeline: createTimeline(systemClock),
      lag: { between: () => options.stalledMs ?? 0 },
      share: () => 0,
      location: "local",
    },
    {
      checkId: "chk_1",
      scheduledAt: systemClock.now().getTime(),
      policy: { ...DEFAULT_POLICY, timeoutMs: 300, ...options.policy },
      isDown: options.isDown ?? false,
      look,
      onAttempt: () => places.taken++,
      onAttemptEnd: () => places.taken--,
      onDoubt: () => places.doubts++,
    },
    stop.signal,
  );
  return { done, stop, places };
}

/** Answers only when it is told to stop, as a probe of a service that hangs. */
const hangs: Look = (_timeoutMs, signal) =>
  new Promise((resolve) => {
    const timeout = { class: "timeout", message: "No answer." } as const;
    signal.addEventListener("abort", () => resolve({ status: "down", failure: timeout }));
  });

test("a good answer at once is a round of one attempt", async () => {
  const { done, places } = round(async () => UP);
  const found = await done;
  expect(found?.attempts.map(({ status }) => status)).toEqual(["up"]);
  expect(found).toMatchObject({ untrusted: null, location: "local" });
  expect(places).toEqual({ taken: 0, doubts: 0 });
});

test("a failure is confirmed on fresh connections, and one good answer outweighs it", async () => {
  const answers = [REFUSED, REFUSED, UP];
  const { done, places } = round(async () => answers.shift() ?? UP);
  const found = await done;
  expect(found?.attempts.map(({ status }) => status)).toEqual(["down", "down", "up"]);
  expect(places).toEqual({ taken: 0, doubts: 2 });
});

test("what hangs is asked again meanwhile; the round ends with its timeout, and lets go of everything", async () => {
  const signals: AbortSignal[] = [];
  const startedMs = systemClock.monotonicMs();
  const { done, places } = round((timeoutMs, signal) => {
    signals.push(signal);
    return hangs(timeoutMs, signal);
  });
  const found = await done;
  expect(systemClock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(299);
  expect(found?.attempts.map(({ failure }) => failure?.class)).toEqual(["timeout", "timeout", "timeout"]);
  expect(signals.every(({ aborted }) => aborted)).toBe(true);
  await Promise.resolve();
  expect(places.taken).toBe(0);
});

test("a second connection that is answered shows the first one as hanging, and ends the round", async () => {
  let asked = 0;
  const { done } = round((timeoutMs, signal) =>
    asked++ === 0 ? hangs(timeoutMs, signal) : Promise.resolve(UP),
  );
  expect((await done)?.attempts.map(({ status }) => status)).toEqual(["down", "up"]);
});

test("an attempt that was cut off by an earlier one's answer says nothing", async () => {
  let answer: (outcome: Outcome) => void = () => {};
  let asked = 0;
  const { done } = round((timeoutMs, signal) => {
    if (asked++ > 0) {
      answer(UP);
      return hangs(timeoutMs, signal);
    }
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  expect((await done)?.attempts.map(({ status }) => status)).toEqual(["up"]);
});

test("while it is down, what is good is confirmed", async () => {
  const { done } = round(async () => UP, { isDown: true });
  expect((await done)?.attempts.map(({ status }) => status)).toEqual(["up", "up"]);
});

test("a timeout while our own loop stood still is no verdict, a refusal is; a good latency is left out", async () => {
  expect((await round(hangs, { stalledMs: 200 }).done)?.untrusted).toBe("lag");
  // With most of the time left to hear it in, a service that answers would have been heard.
  expect((await round(hangs, { stalledMs: 100 }).done)?.untrusted).toBeNull();
  const refused = await round(async () => REFUSED, { stalledMs: 100 }).done;
  expect(refused?.untrusted).toBeNull();
  const good = await round(async () => UP, { stalledMs: 100 }).done;
  expect(good).toMatchObject({ untrusted: null, attempts: [{ status: "up", distorted: true }] });
});

test("a probe that throws is a fault of ours", async () => {
  const { done } = round(async () => {
    throw new Error("oops");
  });
  expect((await done)?.attempts[0]?.failure?.class).toBe("fault");
});

test("a round that is given up is no round", async () => {
  const { done, stop, places } = round(hangs);
  stop.abort();
  expect(await done).toBeNull();
  await Promise.resolve();
  expect(places.taken).toBe(0);
});

test("what a service says is kept in a form that Postgres takes, however long and broken it is", async () => {
  const half = "😀".slice(0, 1);
  const { done } = round(
    async () => ({
      status: "down",
      failure: { class: "assertion", message: `it said \0${half}${"x".repeat(5_000)}` },
      observed: { greeting: `\0${"x".repeat(998)}😀`, status: 200 },
    }),
    { policy: { failures: 1 } },
  );
  const [attempt] = (await done)?.attempts ?? [];
  const texts = [attempt?.failure?.message, attempt?.observed?.greeting].map(String);
  for (const text of texts) expect(text.isWellFormed() && !text.includes("\0")).toBe(true);
  expect(texts.map(({ length }) => length)).toEqual([2_000, 1_000]);
  expect(attempt?.observed?.status).toBe(200);
});
