import { afterAll, beforeAll, expect, test } from "vitest";
import { runChaos } from "../../bench/support/chaos.ts";
import { startTestInstance, type TestInstance } from "../support/instance.ts";

// Another seed by `CHAOS_SEED=…`; the same number kills in the same order. `npm run bench -- chaos` is the long run.
const seed = Number(process.env.CHAOS_SEED ?? Math.floor(Math.random() * 2 ** 31));

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

test("real processes: whatever is killed, nothing acknowledged is lost and traffic is what the row says", {
  timeout: 600_000,
}, async () => {
  const say = (line: string) => process.stdout.write(`${line}\n`);
  say(`CHAOS_SEED=${seed}`);
  const report = await runChaos(at, {
    seed,
    deployments: 12,
    kills: 15,
    requestsBetween: 250,
    visitors: 2,
    // A control plane that dies in a request keeps the request's key for 60 s, one that dies in a deployment its lease
    // for 10 s. With other tests beside this one, the kills go on for long enough to hit one thing more than once.
    settleWithinMs: 300_000,
    say,
  });
  say(JSON.stringify(report, null, 1));
  expect(report).toMatchObject({
    lost: [],
    stuck: [],
    twoLive: [],
    early: [],
    wrongTraffic: [],
    unexpected: [],
  });
  expect(Object.keys(report.kills).sort()).toEqual([
    "app",
    "control",
    "dock",
    "gateway",
    "postgres",
    "worker",
  ]);
});
