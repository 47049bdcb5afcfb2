import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { makeCertificates } from "../../../test/support/certificates.ts";
import { probing, rawServer } from "../../../test/support/probing.ts";
import { layLine } from "../../../test/support/services/partition.ts";
import { startRedis } from "../../../test/support/services/redis.ts";
import { ask, canStart, makeDir, type Service } from "../../../test/support/services/service.ts";
import { redis } from "./redis.ts";

const classOf = async (written: unknown, options = {}) => {
  const { status, failure } = await probing(redis, written, options);
  return failure ? `${status} ${failure.class}` : status;
};

describe("settings", () => {
  test("a password never shows in what is asked", () => {
    const given = redis.settings.parse({ url: "rediss://user:pa%20ss@cache.internal/2" });
    expect(redis.subject(given)).toBe("redis://cache.internal:6379");
    expect(redis.host(given)).toBe("cache.internal");
  });

  test.each([
    {},
    { url: "http://cache" },
    { url: "redis://a", host: "b" },
    { host: "a/b" },
    { host: "a", ports: 1 },
  ])("%j is refused", (written) => expect(redis.settings.safeParse(written).success).toBe(false));
});

describe.skipIf(!canStart("redis"))("a real Redis", () => {
  let server: Service;
  let at: { host: string; port: number };
  const run = (command: string) => ask("127.0.0.1", server.port, `AUTH secret\r\n${command}\r\n`);

  beforeAll(async () => {
    server = await startRedis({
      args: ["--requirepass", "secret", "--maxclients", "8", "--enable-protected-configs", "local"],
    });
    at = { host: server.host, port: server.port };
  });
  afterAll(() => server.stop());

  test("is up without credentials, and says that it asks for a password", async () => {
    const outcome = await probing(redis, at);
    expect(outcome).toMatchObject({ status: "up", observed: { asksForPassword: true } });
    expect(outcome.phases?.firstByteMs).toBeGreaterThan(0);
  });

  test("tells its role, memory and clients, and keeps no connection", async () => {
    for (let i = 0; i < 20; i++) expect(await classOf({ ...at, password: "secret" })).toBe("up");
    const outcome = await probing(redis, { url: `redis://default:secret@127.0.0.1:${at.port}` });
    expect(outcome).toMatchObject({ status: "up", observed: { role: "master", clients: 1 } });
  });

  test("wrong password, wrong role, missing replicas", async () => {
    expect(await classOf({ ...at, password: "wrong" })).toBe("down auth");
    expect(await classOf({ ...at, password: "secret", role: "replica" })).toBe("down assertion");
    expect(await classOf({ ...at, password: "secret", replicas: 1 })).toBe("degraded missing");
  });

  test("is degraded with its memory nearly full and nothing to evict; a cache that evicts is not", async () => {
    await run("CONFIG SET maxmemory 2000000");
    const asked = { ...at, password: "secret", memoryWarn: 0.1 };
    expect(await classOf(asked)).toBe("degraded overloaded");
    await run("CONFIG SET maxmemory-policy allkeys-lru");
    expect(await classOf(asked)).toBe("up");
    await run("CONFIG SET maxmemory 0");
  });

  test("is overloaded, not dead, when it has as many clients as it takes", async () => {
    const held = Array.from({ length: 8 }, () => connect(at));
    onTestFinished(() => held.forEach((socket) => void socket.destroy()));
    await expect.poll(() => classOf({ ...at, password: "secret" })).toBe("down overloaded");
  });

  test("takes no writes since it cannot save: degraded", async () => {
    await expect.poll(() => classOf({ ...at, password: "secret" })).toBe("up");
    await run("CONFIG SET save '1 1'");
    await run(`SET key value`);
    // A directory in place of its file: it cannot be replaced.
    await run("CONFIG SET dbfilename proc.rdb");
    await run("CONFIG SET dir /proc");
    await run("BGSAVE");
    await expect.poll(() => classOf({ ...at, password: "secret" })).toBe("degraded status");
    await run("CONFIG SET save ''");
  });

  test("frozen: timeout; killed: refused", async () => {
    server.freeze();
    expect(await classOf(at, { timeoutMs: 300 })).toBe("down timeout");
    server.thaw();
    await server.kill();
    expect(await classOf(at)).toBe("down refused");
  });
});

describe.skipIf(!canStart("redis"))("a Redis that", () => {
  test("is behind a line that was cut: timeout, and up again", async () => {
    const line = await layLine();
    onTestFinished(line.close);
    const server = await startRedis({ place: line.place });
    onTestFinished(server.stop);
    const at = await line.reach(server.port);
    const network = { allowNetworks: ["127.0.0.0/8", "10.0.0.0/8"] };
    expect(await classOf(at, { network })).toBe("up");
    line.cut();
    expect(await classOf(at, { network, timeoutMs: 300 })).toBe("down timeout");
    line.heal();
    expect(await classOf(at, { network })).toBe("up");
  });

  test("has lost its master is degraded, and says so", async () => {
    const server = await startRedis({ args: ["--replicaof", "127.0.0.1", "1"] });
    onTestFinished(server.stop);
    const outcome = await probing(redis, { host: server.host, port: server.port });
    expect(outcome).toMatchObject({ status: "degraded", failure: { class: "missing" } });
    expect(outcome.observed).toMatchObject({ role: "replica", masterLink: "down" });
  });

  test("loads its data is starting", async () => {
    const dir = makeDir("redis-loading");
    const first = await startRedis({ dir, args: ["--enable-debug-command", "local"] });
    onTestFinished(first.stop);
    await ask("127.0.0.1", first.port, "DEBUG POPULATE 20000\r\n");
    await ask("127.0.0.1", first.port, "SAVE\r\n");
    await first.kill();
    const slow = ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"];
    const second = await startRedis({ dir, args: slow });
    onTestFinished(second.stop);
    expect(await classOf({ host: second.host, port: second.port })).toBe("down starting");
  });

  test("speaks TLS is verified", async () => {
    const { ca, good } = await makeCertificates();
    const dir = makeDir("redis-tls");
    await Promise.all([
      writeFile(join(dir, "good.key"), good.key),
      writeFile(join(dir, "good.pem"), good.cert),
      writeFile(join(dir, "ca.pem"), ca),
    ]);
    const tls = ["--tls-cert-file", join(dir, "good.pem"), "--tls-key-file", join(dir, "good.key")];
    const authority = ["--tls-ca-cert-file", join(dir, "ca.pem"), "--tls-auth-clients", "no"];
    await using free = await rawServer(() => {});
    const port = free.port;
    await free[Symbol.asyncDispose]();
    const server = await startRedis({ dir, args: [...tls, ...authority, "--tls-port", String(port)] });
    onTestFinished(server.stop);
    const url = `rediss://localhost:${port}`;
    expect(await classOf({ url, tls: { ca } })).toBe("up");
    expect(await classOf({ url })).toBe("down certificate");
    expect(await classOf({ url, tls: { insecure: true } })).toBe("up");
  });
});

test("what answers in another language is no Redis", async () => {
  await using server = await rawServer((socket) => void socket.write("220 mail.example.com ESMTP\r\n"));
  expect(await classOf({ host: "127.0.0.1", port: server.port })).toBe("down protocol");
  expect(await classOf({ host: "127.0.0.1", port: server.port }, { network: { allowNetworks: [] } })).toBe(
    "down blocked",
  );
});

test("an early end by the signal leaves no connection", async () => {
  await using server = await rawServer((socket) => void socket.resume());
  const ending = new AbortController();
  const asked = probing(redis, { host: "127.0.0.1", port: server.port }, { signal: ending.signal });
  await server.open(1);
  ending.abort();
  expect((await asked).failure?.class).toBe("timeout");
  await server.open(0);
});
