import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { appFiles, begin, post, QUICK_HEALTH, reach, whoAnswers } from "../support/app-stand.ts";
import { crowd } from "../support/crowd.ts";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

const BY_HAND = `environments:
  production:
    strategy:
      canary:
        steps: [{ weight: 20, bake: manual }, { weight: 60, bake: manual }]
        analysis: { min_requests: 0 }
`;

// Side by side: the first one spends its time waiting for the gateway's drain time.
test.concurrent("WebSockets of the old release are closed with 1012 when its drain time is over", async () => {
  const files = (version: string) => ({
    "package.json": packageJson("sockets"),
    "signalbox.yaml": QUICK_HEALTH,
    "server.js": `import { createHash } from "node:crypto";
import http from "node:http";
const server = http.createServer((q, s) => s.end(JSON.stringify({ version: "${version}", pid: process.pid })));
server.on("upgrade", ({ headers }, socket) => {
  const key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = createHash("sha1").update(key).digest("base64");
  socket.on("error", () => socket.destroy());
  socket.write("HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n" +
    "Sec-WebSocket-Accept: " + accept + "\\r\\n\\r\\n");
});
server.listen(process.env.PORT ?? 3000);`,
  });
  await using app = await folderOf(files("v1"));
  const first = await at.deploy(app.path, "--env", "production");
  expect(first, first.output).toMatchObject({ state: "live" });
  const url = first.urls[0] ?? "";
  const { host } = new URL(url);
  const sockets = Array.from(
    { length: 3 },
    () => new WebSocket(`ws://127.0.0.1:${at.gatewayPort}/live`, { headers: { host } }),
  );
  const closed = Promise.all(sockets.map((socket) => once(socket, "close")));
  await Promise.all(sockets.map((socket) => once(socket, "open")));
  await app.write(files("v2"));
  const second = await at.deploy(app.path, "--env", "production");
  expect(second, second.output).toMatchObject({ state: "live" });
  expect((await whoAnswers(url)).version).toBe("v2");
  expect(sockets.map((socket) => socket.readyState)).toEqual([1, 1, 1]);
  expect((await closed).map(([code]) => code)).toEqual([1012, 1012, 1012]);
});

test.concurrent("a canary baked by hand is held, and hears advance, pause, resume, promote and abort", async () => {
  await using app = await folderOf(appFiles("hands", BY_HAND, "v1"));
  const first = await at.deploy(app.path, "--env", "production");
  expect(first, first.output).toMatchObject({ state: "live" });
  const visitors = crowd(first.urls[0] ?? "");
  const say = async (id: string, kind: string) =>
    expect((await post(at, `/api/deploy/${kind}/${id}`, { reason: `${kind}, says the test` })).status).toBe(
      202,
    );

  await app.write(appFiles("hands", BY_HAND, "v2"));
  const second = await begin(at, app.path);
  await reach(at, second, ({ weight }) => weight === 20);
  await say(second, "pause");
  const paused = await reach(at, second, ({ rollout }) => (rollout?.paused ?? null) !== null);
  expect(paused.rollout?.paused?.reason).toContain("pause, says the test");
  await say(second, "resume");
  await reach(at, second, ({ rollout }) => rollout?.paused === null);
  // Nobody advanced it: a hundred visitors later it is where it was.
  await visitors.until((seen) => seen.length > 100);
  expect((await at.api.status(second)).deployment).toMatchObject({ state: "shifting", weight: 20 });
  await say(second, "advance");
  await reach(at, second, ({ weight }) => weight === 60);
  await say(second, "promote");
  await reach(at, second, ({ state }) => state === "live");

  await app.write(appFiles("hands", BY_HAND, "v3"));
  const third = await begin(at, app.path);
  await reach(at, third, ({ weight }) => weight === 20);
  await say(third, "abort");
  const aborted = await reach(at, third, ({ state }) => state === "rolled_back");
  expect(aborted.reason).toContain("abort, says the test");
  expect((await whoAnswers(first.urls[0] ?? "")).version).toBe("v2");
  await visitors.stop();
  expect(visitors.failures).toEqual([]);
  // What has ended hears nothing any more.
  expect((await post(at, `/api/deploy/advance/${third}`)).status).toBe(409);
});
