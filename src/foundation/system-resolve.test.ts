import { expect, it } from "vitest";
import { createSystemResolve } from "./system-resolve.ts";

/** A machine whose answers come when the test says so. */
function machine() {
  let now = 0;
  const asked: { name: string; answer: () => void; fail: () => void }[] = [];
  const ask = (name: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<{ address: string }[]>();
    const question = {
      name,
      answer: () => resolve([{ address: "192.0.2.1" }]),
      fail: () => reject(new Error("EAI_AGAIN")),
    };
    asked.push(question);
    return promise.finally(() => asked.splice(asked.indexOf(question), 1));
  };
  const pass = (ms: number) => {
    now += ms;
  };
  const resolve = createSystemResolve(ask, { monotonicMs: () => now });
  return { resolve, asked, pass, names: () => asked.map(({ name }) => name) };
}

it("a name whose servers are dead takes two threads at most, and others are looked up at once", async () => {
  const { resolve, asked, pass, names } = machine();
  const dead = ["a.dead", "b.dead", "c.dead", "d.dead"];
  const ended = dead.map((name) => resolve(name).catch(() => "gone"));
  pass(10_000);
  for (const question of [...asked]) question.fail();
  expect(await Promise.all(ended)).toEqual(dead.map(() => "gone"));
  for (let round = 0; round < 3; round++) for (const name of dead) resolve(name).catch(() => {});
  expect(names()).toEqual(["a.dead", "b.dead"]);
  const well = resolve("well.example");
  asked.at(-1)?.answer();
  expect(await well).toEqual(["192.0.2.1"]);
  pass(10_000);
  asked[0]?.fail();
  await expect.poll(names).toEqual(["b.dead", "c.dead"]);
});

it("a second question beside one that hangs is a question of its own, the third is not", async () => {
  const { resolve, asked, pass, names } = machine();
  const first = resolve("x");
  pass(1_700);
  const second = resolve("x");
  pass(1_700);
  expect(resolve("x")).toBe(second);
  expect(names()).toEqual(["x", "x"]);
  asked.at(-1)?.answer();
  await second;
  asked[0]?.answer();
  await first;
});

it("a name that is well again is asked for like any other", async () => {
  const { resolve, asked, pass, names } = machine();
  for (const ms of [5_000, 20]) {
    const answer = resolve("x");
    pass(ms);
    asked[0]?.answer();
    await answer;
  }
  void resolve("x");
  void resolve("x");
  expect(names()).toEqual(["x", "x"]);
});
