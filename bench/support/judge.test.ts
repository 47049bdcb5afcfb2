import { expect, test } from "vitest";
import { countByVersion, failuresOf, lastAnswerOf, staleAnswers } from "./judge.ts";
import type { Answer, Closing } from "./load-messages.ts";

const answer = (sentAt: number, version: string | null, instance: string | null = version): Answer => ({
  sentAt,
  at: sentAt + 5,
  version,
  instance,
});
const closing = (at: number, over: Partial<Closing> = {}): Closing => ({
  at,
  kind: "websocket",
  version: "1",
  instance: "1",
  polite: true,
  detail: "code 1001",
  ...over,
});

test("a channel closed politely by a release that has left is no failure", () => {
  const answers = [answer(10, "1"), answer(90, "1"), answer(110, "2")];
  expect(failuresOf({ answers, failures: [], closings: [closing(100)] })).toEqual([]);
});

test("a release that comes back later may have closed its channels when it left", () => {
  const answers = [answer(90, "1"), answer(110, "2"), answer(5_000, "1")];
  expect(failuresOf({ answers, failures: [], closings: [closing(100)] })).toEqual([]);
});

test("a channel closed by a release that goes on serving is a failure", () => {
  const answers = [answer(90, "1"), answer(110, "1")];
  expect(failuresOf({ answers, failures: [], closings: [closing(100)] })).toHaveLength(1);
});

test("a channel that is cut is a failure whoever serves", () => {
  const cut = closing(100, { polite: false, detail: "code 1006" });
  expect(failuresOf({ answers: [], failures: [], closings: [cut] })).toEqual([
    "A websocket to 1 (1) was cut: code 1006",
  ]);
});

test("the last answer counts when it was asked before the flip and came after it", () => {
  const answers = [answer(90, "2"), answer(98, "2"), answer(101, "1")];
  expect(lastAnswerOf(answers, "2", 100)).toBe(103);
  expect(lastAnswerOf(answers, "2", 200)).toBeNull();
});

test("an answer is stale only when it was asked for after the acknowledgement", () => {
  const answers = [answer(98, "2"), answer(104, "2"), answer(106, "2"), answer(107, "1")];
  expect(staleAnswers(answers, "2", 105)).toBe(1);
});

test("files that do not say their release are not counted for any", () => {
  expect(countByVersion([answer(1, "1"), answer(2, null), answer(3, "1")])).toEqual(new Map([["1", 2]]));
});
