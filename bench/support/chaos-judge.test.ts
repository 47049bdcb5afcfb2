import { expect, test } from "vitest";
import { classOf, type FailedRequest, type Kill, twoLive } from "./chaos-judge.ts";

const failed = (change: Partial<FailedRequest>): FailedRequest => ({
  project: "shop",
  sentAt: 1_000,
  at: 1_010,
  status: 0,
  what: "reset",
  ...change,
});
const kill = (victim: Kill["victim"], change: Partial<Kill> = {}): Kill => ({
  victim,
  pid: 1,
  at: 1_005,
  backAt: 1_200,
  release: victim === "app" ? "dpl_1" : null,
  ...change,
});
const projectOf = (release: string) => ({ dpl_1: "shop", dpl_2: "blog" })[release];

test.each([
  ["a connection that broke with its gateway", failed({}), [kill("gateway")], "cut by a killed gateway"],
  ["a connection that broke with its worker", failed({}), [kill("worker")], "cut by a killed gateway"],
  ["one that found no listener", failed({ what: "ECONNREFUSED" }), [kill("gateway")], "gateway away"],
  ["a 502 while only the gateway was killed", failed({ status: 502 }), [kill("gateway")], "unexpected"],
  ["a 502 of a killed app", failed({ status: 502 }), [kill("app")], "app killed"],
  ["a 404 of a killed app", failed({ status: 404 }), [kill("app")], "unexpected"],
  [
    "a 502 of another project's app",
    failed({ status: 502 }),
    [kill("app", { release: "dpl_2" })],
    "unexpected",
  ],
  ["a broken connection while only control was killed", failed({}), [kill("control")], "unexpected"],
  ["one that ended before the kill", failed({ at: 1_004 }), [kill("worker")], "unexpected"],
  [
    "one long after everything was back",
    failed({ sentAt: 9_000, at: 9_001 }),
    [kill("worker")],
    "unexpected",
  ],
] as const)("%s", (_name, request, kills, expected) => {
  expect(classOf(request, kills, projectOf)).toBe(expected);
});

test("two live at once are found by their histories; one after the other are not", () => {
  const at = (second: number) => new Date(second * 1_000).toISOString();
  const phase = (state: string, second: number) => ({ state, at: at(second), durationMs: null });
  const first = { id: "a", phases: [phase("live", 1), phase("superseded", 5)] };
  expect(twoLive([first, { id: "b", phases: [phase("live", 5)] }])).toEqual([]);
  expect(twoLive([first, { id: "b", phases: [phase("live", 4)] }])).toEqual(["a and b were both live"]);
});
