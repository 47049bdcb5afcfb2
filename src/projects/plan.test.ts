import { describe, expect, it } from "vitest";
import { parseConfig, requireConfig } from "./parse-config.ts";
import { resolvePlan } from "./plan.ts";

const production = (text: string) =>
  resolvePlan(requireConfig(`environments: { production: { ${text} } }`), "production");
const problemOf = (text: string): string => {
  const parsed = parseConfig(text);
  return parsed.ok ? "" : parsed.problems.map((problem) => problem.message).join(" ");
};
const inProduction = (text: string) => problemOf(`environments: { production: { ${text} } }`);

describe("the strategy", () => {
  const defaults = {
    intervalMs: 10_000,
    maxErrorRate: 0.02,
    maxLatencyMs: null,
    compare: false,
    confidence: 0.95,
    tolerance: 0.25,
    effectSize: 1,
    minRequests: 20,
    failureLimit: 1,
    queries: [],
  };

  it("is watched for five minutes after a flip when blue-green says nothing else", () => {
    expect(production("strategy: blue_green").strategy).toEqual({
      kind: "blue_green",
      watchMs: 300_000,
      analysis: defaults,
    });
    expect(production("strategy: { blue_green: { watch: 0s } }").strategy).toMatchObject({ watchMs: 0 });
  });

  it("may begin with those who ask for it (weight 0), and have a stage that a person ends", () => {
    const steps = "[{ weight: 0, bake: 1m }, { weight: 20, bake: manual }]";
    expect(production(`strategy: { canary: { steps: ${steps} } }`).strategy).toEqual({
      kind: "canary",
      steps: [
        { weight: 0, bakeMs: 60_000 },
        { weight: 20, bakeMs: null },
      ],
      analysis: defaults,
    });
    expect(inProduction("strategy: { canary: { steps: [{ weight: 100, bake: 1m }] } }")).not.toBe("");
    expect(inProduction("strategy: { canary: { steps: [{ weight: -1, bake: 1m }] } }")).not.toBe("");
  });

  it("takes the short words of a canary, and those of its analysis over them", () => {
    const canary = (more: string) =>
      production(
        `strategy: { canary: { steps: [{ weight: 1, bake: 1s }], max_error_rate: 0.1, min_requests: 0${more} } }`,
      ).strategy;
    expect(canary("")).toMatchObject({ analysis: { maxErrorRate: 0.1, minRequests: 0 } });
    expect(canary(", analysis: { max_error_rate: 0.2 }")).toMatchObject({
      analysis: { maxErrorRate: 0.2, minRequests: 0 },
    });
  });

  it("asks its queries of the environment's own Prometheus unless they name another", () => {
    const monitoring = 'monitoring: { prometheusEndpoint: "https://p.example.com" }';
    const query = '{ query: up, min: 1 }, { name: q, query: x, max: 2, endpoint: "https://q.example.com" }';
    expect(
      production(`${monitoring}, strategy: { blue_green: { analysis: { queries: [${query}] } } }`).strategy,
    ).toMatchObject({
      analysis: {
        queries: [
          { name: "up", endpoint: "https://p.example.com", query: "up", max: null, min: 1 },
          { name: "q", endpoint: "https://q.example.com", query: "x", max: 2, min: null },
        ],
      },
    });
    expect(inProduction("strategy: { blue_green: { analysis: { queries: [{ query: up }] } } }")).toMatch(
      /neither max nor min/,
    );
  });
});

describe("the gate, the deadlines and the ways back", () => {
  it("asks for approval for a day by any deployer, but not by who started it, unless it says otherwise", () => {
    expect(production("approvals: { required: 2 }, wait: 10m").gate).toEqual({
      approvals: { required: 2, reviewers: [], selfApproval: false, expiresMs: 86_400_000 },
      waitMs: 600_000,
    });
    const all = "approvals: { required: 1, reviewers: [ann], self_approval: true, expires: 1h }";
    expect(production(all).gate.approvals).toEqual({
      required: 1,
      reviewers: ["ann"],
      selfApproval: true,
      expiresMs: 3_600_000,
    });
    expect(inProduction("approvals: { required: 0 }")).not.toBe("");
  });

  it("takes each in its own unit", () => {
    expect(
      production("progress_deadline: 20m, rollback_window: 0s, rollback: stepped, drain: 30s"),
    ).toMatchObject({
      progressDeadlineMs: 1_200_000,
      rollbackWindowMs: 0,
      steppedRollback: true,
      drainMs: 30_000,
    });
    expect(inProduction("drain: 2h")).toMatch(/longer than an hour/);
  });

  it("allows 31 days, and not a minute more", () => {
    expect(production("rollback_window: 744h").rollbackWindowMs).toBe(31 * 86_400_000);
    expect(inProduction("rollback_window: 745h")).toMatch(/longer than 31 days/);
  });
});

describe("services", () => {
  const config = `
build: { install: npm ci }
env: { LOG: info, TIER: common }
health: { interval: 1s }
services:
  api: { build: { root: api, install: npm i }, env: { TIER: api }, health: { checks: [{ type: tcp }] } }
  web:
environments:
  production: { env: { LOG: warn } }
`;

  it("have the common settings under their own and the environment's words over both, in the file's order", () => {
    const [api, web] = resolvePlan(requireConfig(config), "production").services;
    expect(api).toMatchObject({
      name: "api",
      settings: { installCommand: "npm i", rootDirectory: "api" },
      env: { LOG: "warn", TIER: "api" },
      // Only what was asked for: no page of it need exist.
      health: { checks: [{ type: "tcp" }], intervalMs: 1_000 },
    });
    expect(web).toMatchObject({
      name: "web",
      settings: { installCommand: "npm ci" },
      env: { LOG: "warn", TIER: "common" },
    });
  });

  it("are asked their path and every other check when both are given", () => {
    const checks = "{ type: websocket, path: /ws }, { type: http, path: /x, contains: ok }";
    const text = `health: { path: /up, grace: 5s, checks: [${checks}] }`;
    expect(resolvePlan(requireConfig(text), "staging").services[0]?.health).toMatchObject({
      graceMs: 5_000,
      checks: [
        { type: "http", path: "/up", expectStatus: [200, 399], contains: null },
        { type: "websocket", path: "/ws" },
        { type: "http", path: "/x", expectStatus: [200, 399], contains: "ok" },
      ],
    });
  });

  it.each([
    ["services: {}", /names no service/],
    ["services: { git: {} }", /git/],
    ["services: { Web: {} }", /service name/],
    ["migrations: {}", /neither an expand nor a contract/],
    ["migrations: { expand: db, hold: { max: 61s } }", /longer than 60s/],
  ])("refuse %s", (text, message) => {
    expect(problemOf(text)).toMatch(message);
  });

  it("hold requests for a migration only when that is asked for, a thousand of them at most", () => {
    const migrations = (more: string) =>
      resolvePlan(requireConfig(`migrations: { expand: db/expand${more} }`), "staging").migrations;
    expect(migrations("")).toMatchObject({ expandDir: "db/expand", contractDir: null, hold: null });
    expect(migrations(", hold: { max: 5s }")?.hold).toEqual({ maxMs: 5_000, maxRequests: 1_000 });
  });
});
