import { afterAll, beforeAll, expect, test } from "vitest";
import { type ControlDouble, startControlDouble, TOKEN } from "../../../test/support/control-double.ts";
import { readConfig } from "../../config.ts";
import { systemClock } from "../../foundation/clock.ts";
import { runCli } from "../index.ts";

const METRICS = {
  project: "shop",
  environment: "production",
  from: "2026-01-01T00:00:00.000Z",
  to: "2026-01-31T00:00:00.000Z",
  deploymentFrequency: { count: 45, perDay: 1.5, activeDays: 20 },
  leadTime: {
    total: { count: 45, p50Ms: 92_000, p90Ms: 3_600_000 },
    beforeTrigger: { count: 0, p50Ms: null, p90Ms: null },
    machine: { count: 45, p50Ms: 60_000, p90Ms: 92_000 },
    approvalWait: { count: 3, p50Ms: 900_000, p90Ms: 3_540_000 },
  },
  changeFailRate: { changes: 48, failed: 3, rate: 0.0625 },
  recoveryTime: { count: 2, p50Ms: 40, p90Ms: 1_200, open: 1 },
  outcomes: { success: 45, failure: 3, error: 0, timeout: 0, cancellation: 1, skip: 0, unfinished: 0 },
};

let control: ControlDouble;
beforeAll(async () => {
  control = await startControlDouble();
  control.fixed.set("GET /api/deploy/metrics", [200, METRICS]);
});
afterAll(() => control.close());

async function cli(...argv: string[]) {
  const printed = { stdout: "", stderr: "" };
  const io = {
    stdout: { write: (text: string) => (printed.stdout += text) },
    stderr: { write: (text: string) => (printed.stderr += text), columns: 100 },
    isTTY: false,
    cwd: process.cwd(),
    onSignal: () => () => {},
  };
  const config = readConfig({ SIGNALBOX_URL: control.url, SIGNALBOX_TOKEN: TOKEN }, process.cwd());
  const none = {
    up: async () => Promise.reject(),
    down: async () => ({ stopped: [] }),
    dockAccess: async () => Promise.reject(),
  };
  const code = await runCli(["dora", ...argv], io, config, systemClock, none);
  return { code, ...printed };
}

test("the measures are a table on stdout, what was not measured a dash", async () => {
  const { code, stdout, stderr } = await cli("--project", "shop", "--from", "2026-01-01");
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^deployment frequency +1\.50 a day: 45 deployments on 20 days$/m);
  expect(stdout).toMatch(/^lead time +1 m 32 s +1 h 00 m +45 deployments$/m);
  expect(stdout).toMatch(/^ {2}before the trigger +- +- /m);
  expect(stdout).toMatch(/^change fail rate +6\.3 % +3 of 48 changes$/m);
  expect(stdout).toMatch(/^recovery time +40 ms +1\.2 s +2 failed changes, 1 not yet$/m);
  expect(stderr).toContain("production, 2026-01-01 to 2026-01-31: 45 success, 3 failure, 1 cancellation");
});

test("with --json the API's own answer; a time that is none is refused", async () => {
  expect(JSON.parse((await cli("--json")).stdout)).toEqual(METRICS);
  const refused = await cli("--to", "soon");
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('--to must be a day or a time, not "soon"');
});
