import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startTestGateway } from "../../../test/support/gateway.ts";
import type { Log } from "../../foundation/log.ts";
import { LATENCY_BOUNDS_MS as GATEWAY_BOUNDS_MS } from "../../gateway/index.ts";
import { LATENCY_BOUNDS_MS } from "../../rollouts/index.ts";
import { createGatewayMetrics } from "./gateway.ts";

const log = { debug() {} } as unknown as Log;

test("the analysis reads the buckets that the gateway counts in", () => {
  expect(LATENCY_BOUNDS_MS).toEqual(GATEWAY_BOUNDS_MS);
});

test("a gateway that runs has counters; one that does not has none, and that is no error", async () => {
  await using gateway = await startTestGateway();
  expect(await createGatewayMetrics({ adminSocket: gateway.adminSocket, log }).readCounters([])).toEqual([]);
  expect(
    await createGatewayMetrics({ adminSocket: `${gateway.adminSocket}.gone`, log }).readCounters([]),
  ).toBeNull();
});

test.each([
  ["whole", { latency: Array.from({ length: 14 }, () => 1), latencySumMs: 12 }, 1],
  ["without a histogram", { latencySumMs: 12 }, undefined],
  ["with other buckets", { latency: [1, 1], latencySumMs: 12 }, undefined],
])("counters %s", async (_name, latency, requests) => {
  const dir = await mkdtemp(join(tmpdir(), "counters-"));
  const adminSocket = join(dir, "admin.sock");
  const releases = { dpl_1: { requests: 1, errors5xx: 0, inFlight: 0, ...latency } };
  const server = createServer((_request, response) => response.end(JSON.stringify({ releases }))).listen(
    adminSocket,
  );
  await once(server, "listening");
  try {
    const counters = await createGatewayMetrics({ adminSocket, log }).readCounters([
      { service: "app", canary: "dpl_1", baseline: null },
    ]);
    expect(counters?.[0]?.canary?.requests).toBe(requests);
  } finally {
    server.close();
    await rm(dir, { recursive: true });
  }
});
