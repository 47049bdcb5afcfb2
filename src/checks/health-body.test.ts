import { expect, it } from "vitest";
import { type HealthRow, healthBody, serviceOf } from "./health-body.ts";

const row: HealthRow = {
  project: "shop",
  environment: "production",
  name: "web",
  critical: true,
  calls: false,
  intervalMs: 1_000,
  timeoutMs: 500,
  state: "up",
  createdAt: new Date(0),
  lastAt: new Date(10_000),
  lastLatencyMs: 12.345,
};

it("is what the prober said, until that is too old: then it is down", () => {
  expect(serviceOf(row, 13_500).shown).toEqual({
    status: "up",
    latency: 12.35,
    lastCheck: new Date(10_000).toISOString(),
  });
  expect(serviceOf(row, 13_501).shown.status).toBe("down");
  expect(serviceOf({ ...row, state: "unknown" }, 11_000).shown.status).toBe("degraded");
  expect(serviceOf({ ...row, state: "unknown", lastAt: null }, 3_501).shown.status).toBe("down");
  // A job that is to call us once a day has not been silent for too long.
  const job: HealthRow = { ...row, state: "unknown", calls: true };
  expect(serviceOf({ ...job, lastAt: null }, 80_000_000).shown.status).toBe("degraded");
  expect(serviceOf(job, 80_000_000).shown.status).toBe("down");
});

it("is unhealthy only by what is critical", () => {
  const overall = (critical: boolean, state: HealthRow["state"]) =>
    healthBody(new Map([["web", serviceOf({ ...row, critical, state }, 11_000)]]), new Date(0)).status;
  expect([overall(true, "up"), overall(true, "degraded"), overall(true, "down")]).toEqual([
    "healthy",
    "degraded",
    "unhealthy",
  ]);
  expect(overall(false, "down")).toBe("degraded");
});
