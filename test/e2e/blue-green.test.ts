import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/foundation/process.ts";
import { appFiles, begin, post, reach, until, whoAnswers } from "../support/app-stand.ts";
import { crowd } from "../support/crowd.ts";
import { folderOf, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

/** Judged by its health alone: the probes of the public host are among the answers that the gateway counts. */
const blueGreen = (watch: string) => `environments:
  production:
    strategy: { blue_green: { watch: ${watch}, analysis: { min_requests: 0, max_error_rate: 0.9 } } }
`;

test("blue-green flips everyone at once, keeps the old release ready, and goes back by itself", async () => {
  await using app = await folderOf(appFiles("blues", blueGreen("2s"), "v1"));
  const first = await at.deploy(app.path, "--env", "production");
  expect(first, first.output).toMatchObject({ state: "live" });
  const url = first.urls[0] ?? "";
  const old = await whoAnswers(url);
  const visitors = crowd(url);

  await app.write(appFiles("blues", blueGreen("2s"), "v2"));
  const second = await begin(at, app.path);
  await reach(at, second, ({ state, weight }) => state === "shifting" && weight === 100);
  // Flipped, and watched: everybody meets the new one, the old one is up.
  expect((await whoAnswers(url)).version).toBe("v2");
  expect(isAlive(old.pid)).toBe(true);
  expect(await whoAnswers(first.url ?? "")).toEqual(old);
  await reach(at, second, ({ state }) => state === "live");

  const turnsBad = "if (asked > 20) s.statusCode = 503;";
  await app.write(appFiles("blues", blueGreen("60s"), "v3", { health: turnsBad }));
  const third = await at.deploy(app.path, "--env", "production");
  expect(third, third.output).toMatchObject({ state: "rolled_back" });
  expect(third.reason).toMatch(/503/);
  await visitors.until((seen) => seen.some(({ body }) => JSON.parse(body).version === "v2"));
  await visitors.stop();
  expect(visitors.failures).toEqual([]);
  expect([...new Set(visitors.seen.map(({ body }) => JSON.parse(body).version))]).toEqual(["v1", "v2", "v3"]);
  expect((await whoAnswers(url)).version).toBe("v2");
});

test("a canary of 0 % is met by those who ask for it by header, and by nobody else", async () => {
  const dark = `environments:
  production:
    strategy: { canary: { steps: [{ weight: 0, bake: manual }], analysis: { min_requests: 0 } } }
`;
  await using app = await folderOf(appFiles("dark", dark, "v1"));
  const first = await at.deploy(app.path, "--env", "production");
  const url = first.urls[0] ?? "";
  const visitors = crowd(url);
  await app.write(appFiles("dark", dark, "v2"));
  const second = await begin(at, app.path);
  await reach(at, second, ({ state }) => state === "shifting");
  const always = { "x-signalbox-canary": "always" };
  await until(async () => (await whoAnswers(url, always)).version === "v2");
  await visitors.until((seen) => seen.length >= 200);
  await visitors.stop();
  expect(visitors.failures).toEqual([]);
  expect(new Set(visitors.seen.map(({ body }) => JSON.parse(body).version))).toEqual(new Set(["v1"]));

  expect((await post(at, `/api/deploy/promote/${second}`)).status).toBe(202);
  await reach(at, second, ({ state }) => state === "live");
  expect((await whoAnswers(url)).version).toBe("v2");
});
