import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  engineStand,
  HEALTH,
  PLAN,
  SERVICE,
  type Stand,
  ship,
  trigger,
  withStrategy,
} from "../../test/scenarios/engine-stand.ts";
import { AppError } from "../foundation/errors.ts";
import { notify } from "../foundation/notify.ts";
import { WAKE_CHANNEL } from "./channels.ts";

let stand: Stand;
beforeAll(async () => {
  stand = await engineStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

const own = () => ({ ...stand.target });
let whole: ReturnType<typeof own>;
beforeAll(() => {
  whole = own();
});
afterEach(() => Object.assign(stand.target, whole));

const view = async (id: string) => (await stand.http(stand.as.viewer).get(`/status/${id}`)).body.deployment;
const until = (id: string, state: string) =>
  expect.poll(async () => (await view(id)).state, { timeout: 30_000, interval: 50 }).toBe(state);

/** The target answers again, and the next look, which would be up to 5 s away, is now. */
async function comeBack(id: string): Promise<void> {
  Object.assign(stand.target, whole);
  await notify(stand.db, WAKE_CHANNEL, id);
}

/** From now on no request of the target's API is answered. */
function goAway(): void {
  const gone = () =>
    Promise.reject(new AppError("unavailable", "The Vercel API gave no answer (ECONNREFUSED)."));
  for (const call of ["ping", "traffic", "shift", "rollback", "observe", "build"] as const) {
    Object.assign(stand.target, { [call]: gone });
  }
}

test("a canary is not taken back because the target's API is away: it waits, says why, and goes on", async () => {
  stand.world.preparation = withStrategy({ kind: "blue_green", watchMs: 1_500, analysis: NO_ANALYSIS });
  await ship(stand);
  const id = await trigger(stand);
  await until(id, "shifting");
  goAway();
  await expect
    .poll(async () => (await view(id)).blocked, { timeout: 20_000, interval: 50 })
    .toMatchObject({ by: "outage", reason: expect.stringContaining("gave no answer") });
  expect((await view(id)).state).toBe("shifting");
  await comeBack(id);
  await until(id, "live");
  expect((await view(id)).blocked).toBeNull();
}, 60_000);

test("a build that is refused for a rate limit is blocked, not failed", async () => {
  stand.world.preparation = withStrategy({ kind: "instant" });
  let asked = 0;
  Object.assign(stand.target, {
    build: (...input: Parameters<Stand["target"]["build"]>) => {
      asked += 1;
      const details = { retryAfterMs: 1_000 };
      if (asked === 1)
        return Promise.reject(new AppError("rate_limited", "Deployment rate limited.", { details }));
      return whole.build(...input);
    },
  });
  const id = await trigger(stand);
  await expect
    .poll(async () => (await view(id)).blocked, { timeout: 20_000, interval: 20 })
    .toMatchObject({ by: "rate_limit", reason: "Deployment rate limited." });
  await until(id, "live");
}, 60_000);

test("a release that does not answer is not judged while the API is away, and is once it is back", async () => {
  stand.world.preparation = {
    plan: PLAN,
    services: [{ ...SERVICE, health: { ...HEALTH, deadlineMs: 1_000 } }],
  };
  const release = (id: string) => `dpl_${id}`;
  const next = release(String(stand.target.builds.size + 1));
  stand.world.status.set(next, 503);
  goAway();
  Object.assign(stand.target, { build: whole.build, observe: whole.observe });
  const id = await trigger(stand);
  await expect
    .poll(async () => (await view(id)).blocked, { timeout: 20_000 })
    .toMatchObject({ by: "outage" });
  expect((await view(id)).state).toBe("verifying");
  await comeBack(id);
  await until(id, "failed");
  expect((await view(id)).reason).toContain("status 503");
}, 60_000);

const NO_ANALYSIS = {
  intervalMs: 10_000,
  maxErrorRate: 1,
  maxLatencyMs: null,
  compare: false,
  confidence: 0.95,
  tolerance: 0.25,
  effectSize: 1,
  minRequests: 0,
  failureLimit: 1,
  queries: [],
};
