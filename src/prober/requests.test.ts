import { expect, test } from "vitest";
import type { Round } from "../checks/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { silentLog } from "../foundation/log.ts";
import { answerRequests } from "./requests.ts";

const T0 = 1_800_000_000_000;

/** Rounds are dated by a timeline that is half a second behind the clock, as after a small correction of it. */
async function asking(round: Pick<Round, "startedAt" | "untrusted">) {
  const asked = Promise.withResolvers<void>();
  const answered: string[][] = [];
  const requests = answerRequests({
    clock: { ...systemClock, now: () => new Date(T0 + 500) },
    timeline: { now: () => T0 + 0.7 },
    log: silentLog,
    read: async () => [{ id: "ask_1", checkId: "chk_1" }],
    answer: async (ids) => void answered.push([...ids]),
    ask: () => {
      asked.resolve();
      return true;
    },
  });
  requests.look();
  await asked.promise;
  requests.onRound("chk_1", round as Round);
  return answered;
}

test("the round that was asked for is the answer, also where clock and timeline are not quite the same", async () => {
  expect(await asking({ startedAt: T0, untrusted: null })).toEqual([["ask_1"]]);
});

test("one that had begun before, or was none, is no answer", async () => {
  expect(await asking({ startedAt: T0 - 1, untrusted: null })).toEqual([]);
  expect(await asking({ startedAt: T0 + 1, untrusted: "busy" })).toEqual([]);
});
