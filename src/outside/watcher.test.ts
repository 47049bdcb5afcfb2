import { expect, test } from "vitest";
import { outsideStand } from "../../test/support/outside-stand.ts";
import { AppError } from "../foundation/errors.ts";
import { startWatcher } from "./watcher.ts";

test("a rate limit of the target quiets the looks at every project for as long as was asked", async () => {
  await using stand = await outsideStand();
  await stand.makeProject("one", "dpl_1");
  await stand.makeProject("two", "dpl_2");
  const details = { retryAfterMs: 300_000 };
  stand.failing = new AppError("rate_limited", "Slow down.", { details });
  const quiet = Promise.withResolvers<number>();
  const clock = {
    ...stand.clock,
    sleep: (ms: number, signal?: AbortSignal) => {
      if (ms <= 100_000) return stand.clock.sleep(1, signal);
      quiet.resolve(ms);
      return stand.clock.sleep(ms, signal);
    },
  };
  const watcher = startWatcher({ ...stand.deps, clock }, { jitter: () => 0 });
  expect(await quiet.promise).toBeGreaterThan(290_000);
  const { rows } = await stand.pool.query("select failing_since from outside_watches");
  expect(rows).toHaveLength(1);
  await watcher.close();
});
