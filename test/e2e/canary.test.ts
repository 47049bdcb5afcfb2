import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/foundation/clock.ts";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

const YAML = `health: { path: /healthz, interval: 100ms, timeout: 1s, min_healthy_time: 200ms, deadline: 20s }
environments:
  production:
    strategy:
      canary: { steps: [{ weight: 50, bake: 3s }], max_error_rate: 0.1, min_requests: 10 }
`;
/** Answers its version; \`fail\` is what it does to ordinary requests, \`health\` to its health check. */
const server = (version: string, fail = "", health = "") => ({
  "package.json": packageJson("birds"),
  "signalbox.yaml": YAML,
  "server.js": `import http from "node:http";
http.createServer((q, s) => {
  if (q.url === "/healthz") { ${health} return s.end("ok"); }
  ${fail}
  s.end("${version}");
}).listen(process.env.PORT ?? 3000);`,
});

/** Asks the public host without a cookie until told to stop: every request is a new visitor. */
function visitors(url: string) {
  const seen: { status: number; body: string }[] = [];
  let going = true;
  const run = async () => {
    while (going) {
      const { status, body } = await at.get(url);
      seen.push({ status, body });
      await systemClock.sleep(10);
    }
  };
  const running = run();
  return {
    seen,
    stop: async () => {
      going = false;
      await running;
    },
  };
}

test("a good canary takes its share, then everything; a bad one is taken back for its 5xx or its health", async () => {
  await using app = await folderOf(server("v1"));
  const first = await at.deploy(app.path, "--env", "production");
  expect(first, first.output).toMatchObject({ state: "live" });
  const url = first.urls[0] ?? "";
  const crowd = visitors(url);

  await app.write(server("v2"));
  const second = await at.deploy(app.path, "--env", "production");
  expect(second, second.output).toMatchObject({ state: "live" });
  expect(crowd.seen.filter(({ status }) => status !== 200)).toEqual([]);
  expect(new Set(crowd.seen.map(({ body }) => body))).toEqual(new Set(["v1", "v2"]));

  await app.write(server("v3", "s.statusCode = 500;"));
  const third = await at.deploy(app.path, "--env", "production");
  expect(third, third.output).toMatchObject({ state: "rolled_back", code: 1 });
  expect(third.reason).toMatch(/5xx|error/i);
  expect((await at.get(url)).body).toBe("v2");

  await app.write(
    server("v4", "", "globalThis.n = (globalThis.n ?? 0) + 1; if (n > 12) s.statusCode = 503;"),
  );
  const fourth = await at.deploy(app.path, "--env", "production");
  expect(fourth, fourth.output).toMatchObject({ state: "rolled_back" });
  expect(fourth.reason).toMatch(/health|503/i);
  await crowd.stop();
  expect((await at.get(url)).body).toBe("v2");
  expect((await at.api.status(second.id)).deployment.state).toBe("live");
});
