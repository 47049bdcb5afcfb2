import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dockerDouble } from "../../../test/support/docker-double.ts";
import { probing } from "../../../test/support/probing.ts";
import { docker } from "./docker.ts";

const failed = (status: string, name: string, message: RegExp) => ({
  status,
  failure: { class: name, message: expect.stringMatching(message) },
});

test("a container is what the engine says of it, by either way to ask", async () => {
  await using engine = await dockerDouble();
  const health = (Status: string, FailingStreak = 0) => ({ Health: { Status, FailingStreak, Log: [] } });
  const look = (address = engine.unix) => probing(docker, { engine: address, container: "web" });
  const cases: [string, object, object][] = [
    ["running", {}, { status: "up", observed: { state: "running", health: "none", restarts: 2 } }],
    ["running", health("healthy"), { status: "up", observed: { health: "healthy" } }],
    ["running", health("starting"), failed("down", "starting", /not passed yet/)],
    ["running", health("unhealthy", 7), failed("down", "status", /failed 7 times/)],
    ["running", { OOMKilled: true }, failed("degraded", "overloaded", /memory/)],
    ["restarting", { ExitCode: 1 }, failed("down", "starting", /restarting; it last ended with code 1/)],
    ["exited", { ExitCode: 3 }, { ...failed("down", "status", /code 3/), observed: { exitCode: 3 } }],
    ["exited", { ExitCode: 137, OOMKilled: true }, failed("down", "overloaded", /memory/)],
    ["paused", {}, failed("down", "status", /paused/)],
    ["created", {}, failed("down", "missing", /never started/)],
  ];
  for (const [state, more, expected] of cases) {
    engine.container("web", state, { ...more }, 2);
    expect(await look(), state).toMatchObject(expected);
    expect(await look(engine.tcp), state).toMatchObject(expected);
  }
  const other = await probing(docker, { engine: engine.unix, container: "../other" });
  expect(other).toMatchObject(failed("down", "missing", /no container \.\.\/other/));
});

test("a service is its running replicas against those that are wanted", async () => {
  await using engine = await dockerDouble();
  const look = (service = "shop") => probing(docker, { engine: engine.unix, service });
  engine.services.set("shop_worker", { running: 0, wanted: 9 });
  expect(await look()).toMatchObject(failed("down", "missing", /no service shop/));
  engine.services.set("shop", { running: 3, wanted: 3, update: "completed" });
  expect(await look()).toMatchObject({ status: "up", observed: { runningReplicas: 3, wantedReplicas: 3 } });
  engine.services.set("shop", { running: 2, wanted: 3 });
  expect(await look()).toMatchObject(failed("degraded", "missing", /2 of 3 replicas/));
  engine.services.set("shop", { running: 0, wanted: 3 });
  expect(await look()).toMatchObject(failed("down", "missing", /0 of 3/));
  engine.services.set("shop", { running: 3, wanted: 3, update: "paused" });
  expect(await look()).toMatchObject(failed("degraded", "status", /update of shop/));
  engine.state.isManager = false;
  expect(await look()).toMatchObject(failed("down", "unsupported", /no manager/));
});

test("an engine that is not there, is silent, or is none, and addresses that are refused", async () => {
  const dir = mkdtempSync(join(tmpdir(), "docker-"));
  const path = join(dir, "s.sock");
  const look = (engine = `unix://${path}`, options = {}) =>
    probing(docker, { engine, container: "web" }, { timeoutMs: 100, ...options });
  expect(await look()).toMatchObject(failed("down", "refused", /no such socket/));
  let reply = "";
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on("error", () => {}).resume());
    if (reply !== "") socket.end(reply);
  });
  await once(server.listen(path), "listening");
  expect(await look()).toMatchObject(failed("down", "timeout", /no answer/));
  reply = "hello\r\n\r\n";
  expect(await look()).toMatchObject(failed("down", "protocol", /no HTTP/));
  reply = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
  expect(await look()).toMatchObject(failed("down", "protocol", /Docker Engine/));
  for (const socket of sockets) socket.destroy();
  await new Promise((closed) => server.close(closed));
  rmSync(dir, { recursive: true, force: true });
  await using engine = await dockerDouble();
  const refused = await look(engine.tcp, { network: { allowNetworks: [] } });
  expect(refused).toMatchObject(failed("down", "blocked", /no public address/));
  expect(docker.local).toBe(true);
  for (const wrong of [{}, { container: "a", service: "b" }, { container: "a", engine: "ssh://x" }])
    expect(docker.settings.safeParse(wrong).success).toBe(false);
});
