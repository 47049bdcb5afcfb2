import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { createHealth, type HealthOptions } from "./index.ts";

function start(options: HealthOptions) {
  const health = createHealth(options);
  onTestFinished(() => health.close());
  const get = async (path = "", headers: Record<string, string> = {}) => {
    const answer = health.fetch(new Request(`http://app/api/health${path}`, { headers }));
    return {
      status: answer?.status,
      type: answer?.headers.get("content-type"),
      body: JSON.parse((await answer?.text()) || "null"),
    };
  };
  return { health, get };
}

const hang = () => new Promise<never>(() => {});
const fail = () => Promise.reject(Object.assign(new Error("db.internal refused"), { code: "ECONNREFUSED" }));

it("a critical check that is down makes it unhealthy and unready; another only degraded", async () => {
  const one = start({ checks: { database: { check: fail }, mail: { check: () => {} } } });
  await one.health.checked();
  expect(await one.get()).toMatchObject({
    status: 503,
    body: { status: "unhealthy", services: { database: { status: "down" }, mail: { status: "up" } } },
  });
  expect(await one.get("/ready")).toMatchObject({
    status: 503,
    body: { status: "not_ready", checks: { database: { ok: false, error: "failed (ECONNREFUSED)" } } },
  });
  const other = start({ checks: { mail: { check: fail, critical: false } } });
  await other.health.checked();
  expect(await other.get()).toMatchObject({ status: 200, body: { status: "degraded" } });
  expect((await other.get("/ready")).status).toBe(200);
});

it("details are for those who may see them", async () => {
  const details: HealthOptions["details"] = (req) => (req as Request).headers.get("authorization") === "yes";
  const { health, get } = start({ checks: { database: { check: fail } }, details });
  await health.checked();
  expect(JSON.stringify((await get()).body)).not.toContain("db.internal");
  const { body } = await get("", { authorization: "yes" });
  expect(body.services.database.message).toBe("db.internal refused");
});

it("only a plain yes shows details: no promise of one, and no question that fails", async () => {
  const no = () => Promise.resolve(false) as never;
  const broken = () => {
    throw new RangeError("Input buffers must have the same byte length");
  };
  for (const details of [no, broken]) {
    const { health, get } = start({ checks: { database: { check: fail } }, details });
    await health.checked();
    expect((await get()).body.services.database).not.toHaveProperty("message");
  }
});

it("takes whatever a check answers, and refuses limits that no timer keeps", async () => {
  const check = () => ({ status: "warn", observedValue: 10n, observedUnit: {}, output: { toJSON: fail } });
  const { health, get } = start({ checks: { queue: { check } }, details: () => true });
  await health.checked();
  const { body } = await get("", { accept: "application/health+json" });
  expect(body).toMatchObject({ status: "warn", checks: { "queue:responseTime": [{ observedUnit: "ms" }] } });
  for (const limits of [{ intervalMs: 3e9 }, { intervalMs: 0 }, { timeoutMs: Number.NaN }, { maxAgeMs: -1 }])
    expect(() => createHealth({ checks: { queue: { check, ...limits } } })).toThrow(
      /Ms of the check "queue"/,
    );
});

it("answers application/health+json where it is accepted, with an output only of what is not well", async () => {
  const warn = () => ({ status: "warn", output: "half full", observedValue: 51, observedUnit: "percent" });
  const { health, get } = start({
    checks: { disk: { check: warn, componentType: "system" }, database: { check: () => {} } },
    details: () => true,
    version: "1",
  });
  await health.checked();
  const { type, body } = await get("", { accept: "application/health+json" });
  expect(type).toBe("application/health+json");
  expect(body).toMatchObject({ status: "warn", version: "1" });
  expect(body.checks["disk:value"]).toMatchObject([
    { status: "warn", observedValue: 51, output: "half full" },
  ]);
  expect(body.checks["database:responseTime"][0]).not.toHaveProperty("output");
});

it("a check that hangs is told to end, is down, is not begun a second time, and nobody waits for it", async () => {
  let begun = 0;
  let aborted = false;
  const check = (signal: AbortSignal) => {
    begun++;
    signal.addEventListener("abort", () => (aborted = true));
    return hang();
  };
  const { health, get } = start({ checks: { queue: { check, timeoutMs: 20, intervalMs: 1 } } });
  expect((await get()).body.services.queue).toEqual({ status: "down", latency: null, lastCheck: null });
  await health.checked();
  expect((await get("/ready")).body.checks.queue.error).toBe("no answer within 20 ms");
  expect({ begun, aborted }).toEqual({ begun: 1, aborted: true });
  expect((await get("/live")).status).toBe(200);
});

it("what has not been checked for too long is stale, and red", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  let nowMs = 0;
  const clock = { now: () => new Date(nowMs), monotonicMs: () => nowMs };
  const check = { check: () => {}, intervalMs: 60_000, maxAgeMs: 5_000 };
  const { health, get } = start({ checks: { database: check }, clock });
  await health.checked();
  expect((await get("/ready")).status).toBe(200);
  nowMs = 5_001;
  vi.advanceTimersByTime(1_000);
  expect(await get("/ready")).toMatchObject({ status: 503, body: { checks: { database: { ok: false } } } });
  expect((await get("/ready")).body.checks.database.error).toMatch(/^stale/);
});

it("draining is unready and still live; something fatal is not live", async () => {
  const { health, get } = start({ checks: {} });
  expect((await get("/ready")).status).toBe(200);
  health.drain();
  expect(await get("/ready")).toMatchObject({ status: 503, body: { draining: true } });
  expect((await get("/live")).status).toBe(200);
  health.fatal("the disk is gone");
  expect(await get("/live")).toMatchObject({
    status: 503,
    body: { status: "dead", reason: "the disk is gone" },
  });
});

it("serves node:http and Connect: HEAD without a body, other methods refused, other paths passed on", async () => {
  const { health } = start({ checks: {}, path: "/api/health/" });
  const server = http.createServer((req, res) => health.middleware(req, res, () => void res.end("app")));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const head = await fetch(`${base}/api/health?x=1`, { method: "HEAD" });
  expect([head.status, Number(head.headers.get("content-length")) > 0]).toEqual([200, true]);
  expect(head.headers.get("cache-control")).toBe("no-store");
  expect((await fetch(`${base}/api/health`, { method: "POST" })).status).toBe(405);
  expect((await fetch(`${base}/api/health/ready`)).status).toBe(200);
  expect(await (await fetch(`${base}/api/healthy`)).text()).toBe("app");
});
