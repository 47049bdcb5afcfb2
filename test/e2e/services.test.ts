import { afterAll, beforeAll, expect, test } from "vitest";
import { type Detailed, QUICK_HEALTH, serverJs, whoAnswers } from "../support/app-stand.ts";
import { crowd } from "../support/crowd.ts";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

const YAML = `name: bakery
${QUICK_HEALTH}
services:
  api: { build: { root: api, start: node server.js } }
  web: { build: { root: web, start: node server.js } }
environments:
  production:
    strategy:
      canary:
        steps: [{ weight: 50, bake: 3s }]
        analysis: { interval: 500ms, max_error_rate: 0.2, min_requests: 10 }
`;
const api = (version: string) => ({
  "api/package.json": packageJson("api"),
  "api/server.js": serverJs(version),
});
const web = (version: string, ask = "") => ({
  "web/package.json": packageJson("web"),
  "web/server.js": serverJs(version, { ask }),
});
const releases = ({ services }: Detailed) =>
  Object.fromEntries(services.map(({ name, targetDeploymentId }) => [name, targetDeploymentId]));

test("two services go together: the unchanged stays, a failed build moves none, a bad one both back", async () => {
  await using app = await folderOf({ "signalbox.yaml": YAML, ...api("api 1"), ...web("web 1") });
  const ship = async () =>
    (await at.deploy(app.path, "--env", "production")) as unknown as Detailed & { output: string };
  const first = await ship();
  expect(first, first.output).toMatchObject({ state: "live" });
  const [apiUrl = "", webUrl = ""] = first.services.map(({ urls }) => urls[0] ?? "");
  expect([apiUrl, webUrl].map((url) => new URL(url).hostname)).toEqual([
    "bakery-api.localhost",
    "bakery-web.localhost",
  ]);
  const serving = async () => [(await whoAnswers(apiUrl)).version, (await whoAnswers(webUrl)).version];
  expect(await serving()).toEqual(["api 1", "web 1"]);
  const apiVisitors = crowd(apiUrl);
  const webVisitors = crowd(webUrl);

  await app.write(web("web 2"));
  const second = await ship();
  expect(second, second.output).toMatchObject({ state: "live" });
  expect(second.services).toMatchObject([
    { name: "api", unchanged: true, targetDeploymentId: releases(first).api },
    { name: "web", unchanged: false },
  ]);
  expect(await serving()).toEqual(["api 1", "web 2"]);

  await app.write({
    "api/package.json": packageJson("api", { build: "echo no flour; exit 3", start: "node server.js" }),
    ...web("web 3"),
  });
  const third = await ship();
  expect(third, third.output).toMatchObject({ state: "failed" });
  expect(third.reason).toMatch(/api/);
  expect(await serving()).toEqual(["api 1", "web 2"]);
  expect([...apiVisitors.failures, ...webVisitors.failures]).toEqual([]);

  // Good while it is proven, and for its first visitors.
  await app.write({ ...api("api 4"), ...web("web 4", "if (asked > 5) s.statusCode = 500;") });
  const fourth = await ship();
  expect(fourth, fourth.output).toMatchObject({ state: "rolled_back" });
  expect(fourth.reason).toMatch(/5xx/);
  expect(await serving()).toEqual(["api 1", "web 2"]);
  await Promise.all([apiVisitors.stop(), webVisitors.stop()]);
  // The new api had visitors, and not one of them noticed its going.
  expect(new Set(apiVisitors.seen.map(({ body }) => JSON.parse(body).version))).toContain("api 4");
  expect(apiVisitors.failures).toEqual([]);
  expect((await at.api.status(second.id)).deployment.state).toBe("live");
});
