import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  end,
  fetchVia,
  listening,
  only,
  spawnGateway,
  startApp,
  startTestGateway,
  type TestGateway,
  until,
  writeSite,
} from "../../test/support/gateway.ts";
import { pushSnapshot, readCounters, readGeneration, reloadGateway } from "./index.ts";

const releaseOf = (answer: { headers: http.IncomingHttpHeaders }) => answer.headers["x-signalbox-deployment"];

/** Two releases of the same app; `a` is served. */
async function startPair(gateway: TestGateway) {
  const respond: http.RequestListener = (req, res) => {
    let length = 0;
    req.on("data", (chunk: Buffer) => {
      length += chunk.length;
    });
    req.on("end", () => res.end(String(length)));
  };
  const sockets = new WebSocketServer({ noServer: true });
  const upgrade = (req: http.IncomingMessage, socket: import("node:stream").Duplex, head: Buffer) =>
    sockets.handleUpgrade(req, socket, head, (ws) => ws.on("message", (data) => ws.send(String(data))));
  const apps = await Promise.all(
    ["a", "b"].map((name) => startApp(join(gateway.dir, `${name}.sock`), respond, upgrade)),
  );
  const releases = {
    dpl_a: { socket: join(gateway.dir, "a.sock") },
    dpl_b: { socket: join(gateway.dir, "b.sock") },
  };
  for (const id of Object.keys(releases)) writeSite(gateway.dir, id, { server: true });
  const serve = (release: string) => gateway.push({ "app.localhost": only(release) }, releases);
  await serve("dpl_a");
  return { releases, serve, apps, stop: () => Promise.all(apps.map((app) => app.stop())) };
}

/** Clients that never stop asking, on connections that they keep; every failure and stale answer is noted. */
function startLoad(gateway: TestGateway, clients = 8) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients });
  const seen = { requests: 0, failures: [] as string[], stale: 0 };
  let expected: { release: string; sinceMs: number } | null = null;
  let running = true;
  const client = async (index: number) => {
    for (let i = 0; running; i++) {
      const startedMs = performance.now();
      const post = (i + index) % 2 === 0;
      try {
        const options = post ? { method: "POST", body: "12345", agent } : index % 4 === 0 ? {} : { agent };
        const answer = await fetchVia(gateway.port, "/", options);
        if (answer.status !== 200 || answer.body !== (post ? "5" : "0")) {
          seen.failures.push(`${answer.status} ${answer.body}`);
        }
        if (expected && startedMs > expected.sinceMs && releaseOf(answer) !== expected.release) seen.stale++;
      } catch (error) {
        seen.failures.push(String(error));
      }
      seen.requests++;
    }
  };
  const ended = Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  return {
    seen,
    expect: (release: string) => {
      expected = { release, sinceMs: performance.now() };
    },
    unexpect: () => {
      expected = null;
    },
    more: (count: number) => {
      const goal = seen.requests + count;
      return until(() => seen.requests >= goal);
    },
    stop: async () => {
      running = false;
      await ended;
      agent.destroy();
    },
  };
}

describe("a flip", () => {
  it("drops nothing, and nothing is stale once it is acknowledged", async () => {
    await using gateway = await startTestGateway();
    const pair = await startPair(gateway);
    const load = startLoad(gateway);
    await load.more(50);
    for (let flip = 0; flip < 20; flip++) {
      const release = flip % 2 === 0 ? "dpl_b" : "dpl_a";
      load.unexpect();
      await pair.serve(release);
      load.expect(release);
      await load.more(20);
    }
    await load.stop();
    await pair.stop();
    expect(load.seen).toMatchObject({ failures: [], stale: 0 });
  });

  it("leaves the WebSockets of the old release until the drain deadline, then asks them to come again", async () => {
    await using gateway = await startTestGateway({ drainTimeoutMs: 300 });
    const pair = await startPair(gateway);
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/`, { headers: { host: "app.localhost" } });
    await once(socket, "open");
    await pair.serve("dpl_b");
    socket.send("still here");
    expect(String((await once(socket, "message"))[0])).toBe("still here");
    const [code] = (await once(socket, "close")) as [number];
    expect(code).toBe(1012);
    await pair.stop();
  });

  it("that is rolled back in time keeps them", async () => {
    await using gateway = await startTestGateway({ drainTimeoutMs: 300 });
    const pair = await startPair(gateway);
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/`, { headers: { host: "app.localhost" } });
    await once(socket, "open");
    await pair.serve("dpl_b");
    await pair.serve("dpl_a");
    await sleep(600);
    socket.send("kept");
    expect(String((await once(socket, "message"))[0])).toBe("kept");
    socket.terminate();
    await pair.stop();
  });
});

describe("a split", () => {
  it("keeps each visitor on one release by cookie, over workers and reloads", async () => {
    await using gateway = await startTestGateway();
    const pair = await startPair(gateway);
    const split = (canary: number) => ({
      targets: [
        { release: "dpl_a", weight: 100 - canary },
        { release: "dpl_b", weight: canary },
      ],
      rollout: "r1",
    });
    await gateway.push({ "app.localhost": split(50) }, pair.releases);
    const visitors = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const first = await fetchVia(gateway.port, "/");
        return { cookie: first.headers["set-cookie"]?.[0]?.split(";")[0] ?? "", release: releaseOf(first) };
      }),
    );
    expect(new Set(visitors.map(({ release }) => release))).toEqual(new Set(["dpl_a", "dpl_b"]));
    await reloadGateway(gateway.adminSocket);
    for (const { cookie, release } of visitors) {
      const again = await fetchVia(gateway.port, "/", { headers: { cookie } });
      expect(releaseOf(again)).toBe(release);
      expect(again.headers).not.toHaveProperty("set-cookie");
    }
    await gateway.push({ "app.localhost": split(75) }, pair.releases);
    for (const { cookie, release } of visitors) {
      const raised = await fetchVia(gateway.port, "/", { headers: { cookie } });
      if (release === "dpl_b") expect(releaseOf(raised)).toBe("dpl_b");
    }
    await pair.stop();
  });
});

describe("a reload", () => {
  it("replaces every worker and drops nothing; the counters go on", async () => {
    await using gateway = await startTestGateway({ drainTimeoutMs: 500 });
    const pair = await startPair(gateway);
    const load = startLoad(gateway);
    await load.more(50);
    for (let round = 0; round < 3; round++) {
      const before = gateway.workers();
      expect(await reloadGateway(gateway.adminSocket)).toEqual({ workers: 2 });
      await load.more(50);
      expect(gateway.workers().length).toBeGreaterThanOrEqual(2);
      expect(
        gateway
          .workers()
          .slice(-2)
          .some((pid) => before.includes(pid)),
      ).toBe(false);
    }
    // A push while old workers still drain is acknowledged by them too.
    await pair.serve("dpl_b");
    load.expect("dpl_b");
    await load.more(50);
    await load.stop();
    expect(load.seen).toMatchObject({ failures: [], stale: 0 });
    await until(async () => {
      const { releases } = await readCounters(gateway.adminSocket);
      return (releases.dpl_a?.requests ?? 0) + (releases.dpl_b?.requests ?? 0) === load.seen.requests;
    });
    await until(() => gateway.workers().length === 2);
    await pair.stop();
  });
});

describe("what is killed", () => {
  it("a worker is replaced by one that serves the same, and its counts are kept", async () => {
    await using gateway = await startTestGateway();
    const pair = await startPair(gateway);
    for (let i = 0; i < 10; i++) await fetchVia(gateway.port, "/");
    expect((await readCounters(gateway.adminSocket)).releases.dpl_a?.requests).toBe(10);
    const [victim = 0, other] = gateway.workers();
    process.kill(victim, "SIGKILL");
    await until(() => gateway.workers().length === 2 && !gateway.workers().includes(victim));
    expect(gateway.workers()).toContain(other);
    await until(async () => (await readCounters(gateway.adminSocket)).generation === 1);
    expect((await fetchVia(gateway.port, "/")).status).toBe(200);
    expect((await readCounters(gateway.adminSocket)).releases.dpl_a?.requests).toBe(11);
    await pair.stop();
  });

  it("a worker in the middle of a push does not hold up its acknowledgement", async () => {
    await using gateway = await startTestGateway();
    const pair = await startPair(gateway);
    const [victim = 0] = gateway.workers();
    // Stopped, it cannot acknowledge; killed, it never will.
    process.kill(victim, "SIGSTOP");
    const pushed = pair.serve("dpl_b");
    const early = await Promise.race([pushed.then(() => "acknowledged"), sleep(200).then(() => "waiting")]);
    expect(early).toBe("waiting");
    process.kill(victim, "SIGKILL");
    await pushed;
    for (let i = 0; i < 10; i++) expect(releaseOf(await fetchVia(gateway.port, "/"))).toBe("dpl_b");
    await pair.stop();
  });

  it("the whole gateway comes back with what it served, with nobody there to ask", async () => {
    await using gateway = await startTestGateway();
    const pair = await startPair(gateway);
    const exited = once(gateway.process, "exit");
    const orphans = gateway.workers();
    gateway.process.kill("SIGKILL");
    await exited;
    await until(() => orphans.every((pid) => !existsSync(`/proc/${pid}/stat`)));
    await gateway.restart();
    expect(releaseOf(await fetchVia(gateway.port, "/"))).toBe("dpl_a");
    expect(await readGeneration(gateway.adminSocket)).toBe(1);
    await pair.stop();
  });

  it("an app that is starting again is waited for", async () => {
    await using gateway = await startTestGateway();
    const pair = await startPair(gateway);
    await fetchVia(gateway.port, "/");
    await pair.apps[0]?.stop();
    const answer = fetchVia(gateway.port, "/", { method: "POST", body: "123" });
    await sleep(200);
    await using _again = await startApp(join(gateway.dir, "a.sock"), (req, res) => {
      req.resume().on("end", () => res.end("back"));
    });
    expect(await answer).toMatchObject({ status: 200, body: "back" });
    await pair.stop();
  });
});

describe("the admin socket", () => {
  it("refuses old generations and broken snapshots, and keeps serving", async () => {
    await using gateway = await startTestGateway();
    expect(await readGeneration(gateway.adminSocket)).toBe(0);
    const pair = await startPair(gateway);
    const snapshot = { version: 1, generation: 1, hosts: {}, releases: {} } as const;
    await expect(pushSnapshot(gateway.adminSocket, snapshot)).rejects.toMatchObject({
      code: "conflict",
      details: { generation: 1 },
    });
    await expect(
      pushSnapshot(gateway.adminSocket, { ...snapshot, generation: 2, hosts: { A: only("x") } }),
    ).rejects.toMatchObject({
      code: "bad_request",
      details: [expect.stringMatching(/lower-case/), expect.anything()],
    });
    expect((await fetchVia(gateway.port, "/")).status).toBe(200);
    await pair.stop();
  });

  it("says when nobody is there", async () => {
    await expect(readGeneration("/tmp/no-such.sock")).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("a start", () => {
  it("on a port or a folder in use, or with a broken state file, says so and what to do", async () => {
    await using gateway = await startTestGateway();
    const options = {
      host: "127.0.0.1",
      port: gateway.port,
      workers: 1,
      adminSocket: join(gateway.dir, "other.sock"),
      stateFile: join(gateway.dir, "other.json"),
      accessLog: null,
      cookieSecret: "a secret that is only used in tests",
    };
    const failure = async (changed: object) => {
      const child = spawnGateway({ ...options, ...changed });
      const outcome = await listening(child).catch(String);
      await end(child);
      return outcome;
    };
    expect(await failure({})).toMatch(/cannot listen on 127\.0\.0\.1:\d+: another program does/);
    expect(await failure({ port: 0, adminSocket: gateway.adminSocket })).toMatch(
      /Another gateway is already running/,
    );
    writeFileSync(options.stateFile, "{}");
    expect(await failure({ port: 0 })).toMatch(/does not hold a snapshot/);
  });
});
