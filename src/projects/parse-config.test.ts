import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseConfig, requireConfig } from "./parse-config.ts";
import { resolvePlan } from "./plan.ts";

const FULL = `name: storefront
build: { framework: vite, install: npm ci, command: npm run build, output: dist, root: web, start: node server.js }
env: { PORT: 3000, DEBUG: false, API_URL: https://api.example.com }
health: { path: /healthz, timeout: 2s, interval: 250ms, min_healthy_time: 3s, deadline: 1m, expect_status: 200..204 }
environments:
  production:
    name: production
    env: { API_URL: https://prod.example.com }
    strategy: { canary: { steps: [{ weight: 10, bake: 30s }, { weight: 50, bake: 1m }], max_error_rate: 0.05 } }
    health: { min_healthy_time: 10s }
    vercel: { projectId: prj_1, teamId: team_1, productionBranch: main }
    features: { newCheckout: true }
    services:
      database: { host: db.internal, port: 5432, ssl: true }
      redis: { url: "redis://cache:6379" }
      browserbase: { projectId: bb_1, region: us-west-2 }
    monitoring: { sentryDsn: "https://key@sentry.example.com/1", prometheusEndpoint: "https://prom.example.com" }
  staging: { strategy: instant }
  preview:
  development: { features: { newCheckout: true } }
`;

function problemsOf(source: string) {
  const parsed = parseConfig(source);
  return parsed.ok ? [] : parsed.problems;
}

describe("signalbox.yaml", () => {
  it("accepts every block, and resolves an environment over the common settings", () => {
    const config = requireConfig(FULL);
    expect(resolvePlan(config, "production")).toMatchObject({
      services: [
        {
          name: "app",
          settings: {
            framework: "vite",
            installCommand: "npm ci",
            buildCommand: "npm run build",
            outputDirectory: "dist",
            rootDirectory: "web",
            startCommand: "node server.js",
          },
          env: { PORT: "3000", DEBUG: "false", API_URL: "https://prod.example.com" },
          health: {
            checks: [{ type: "http", path: "/healthz", expectStatus: [200, 204], contains: null }],
            timeoutMs: 2_000,
            intervalMs: 250,
            minHealthyMs: 10_000,
            graceMs: 0,
            deadlineMs: 60_000,
          },
        },
      ],
      strategy: {
        kind: "canary",
        steps: [
          { weight: 10, bakeMs: 30_000 },
          { weight: 50, bakeMs: 60_000 },
        ],
        analysis: { maxErrorRate: 0.05, minRequests: 20 },
      },
    });
    expect(resolvePlan(config, "staging").strategy).toEqual({ kind: "instant" });
    expect(resolvePlan(config, "preview").services[0]?.health.minHealthyMs).toBe(3_000);
  });

  it("needs nothing: no file and an empty file mean the defaults", () => {
    const health = {
      checks: [{ type: "http", path: "/", expectStatus: [200, 399], contains: null }],
      timeoutMs: 5_000,
      intervalMs: 500,
      minHealthyMs: null,
      graceMs: 0,
      deadlineMs: 120_000,
    };
    const platform = { source: "files", keepCache: true, checks: false };
    const defaults = {
      services: [{ name: "app", settings: {}, env: {}, health, platform }],
      env: {},
      strategy: { kind: "instant" },
      gate: { approvals: null, waitMs: 0 },
      progressDeadlineMs: null,
      rollbackWindowMs: 3_600_000,
      steppedRollback: false,
      watchMs: 300_000,
      drainMs: 0,
      migrations: null,
    };
    for (const source of [null, "", "# nothing yet\n", "---\n"]) {
      expect(resolvePlan(requireConfig(source), "production")).toEqual(defaults);
    }
  });
});

describe("a mistake in signalbox.yaml", () => {
  it("is reported with all others at once, each with its line, column, path and a hint", () => {
    const source = `name: 5
biuld: {}
build:
  comand: npm run build
health:
  timeout: 5
  interval: 5 seconds
environments:
  prodution: {}
  staging:
    strategy: blue-green
  production:
    strategy:
      canary:
        steps:
          - { weight: 50, bake: 1m }
          - { weight: 25, bake: 1m }
          - { weight: 120, bake: soon }
        max_error_rate: 2
    env:
      1BAD: x
      EMPTY:
`;
    expect(problemsOf(source).map(({ line, column, path }) => `${line}:${column} ${path}`)).toEqual([
      "1:7 name",
      "2:1 biuld",
      "4:3 build.comand",
      "6:12 health.timeout",
      "7:13 health.interval",
      "9:3 environments.prodution",
      "11:15 environments.staging.strategy",
      "17:23 environments.production.strategy.canary.steps.1.weight",
      "18:23 environments.production.strategy.canary.steps.2.weight",
      "18:34 environments.production.strategy.canary.steps.2.bake",
      "19:25 environments.production.strategy.canary.max_error_rate",
      "21:7 environments.production.env.1BAD",
      "22:7 environments.production.env.EMPTY",
    ]);
    const hints = problemsOf(source).map((problem) => problem.hint);
    expect(hints).toContain('Did you mean "build"?');
    expect(hints).toContain('Did you mean "command"?');
    expect(hints).toContain('Did you mean "production"?');
    expect(hints.every((hint) => hint.length > 0)).toBe(true);
  });

  it.each([
    ["a tab as indentation", "build:\n\tcommand: x\n", 2, /tab/i],
    ["a key given twice", "env: { A: 1 }\nenv: { B: 2 }\n", 2, /unique/i],
    ["an unclosed bracket", "env: { A: 1\nname: x\n", 2, /flow|map|:/i],
    ["two documents", "name: a\n---\nname: b\n", 2, /document/i],
    ["an unknown tag", "name: !secret x\n", 1, /tag/i],
    ["an alias of nothing", "name: *nobody\n", 1, /alias/i],
    ["a list instead of a mapping", "- a\n- b\n", 1, /mapping/i],
    ["a folder outside the repository", "build: { output: ../../etc }\n", 1, /relative path/],
    ["a variable that is ours", "env: { SIGNALBOX_START_COMMAND: rm }\n", 1, /reserved/],
    ["a range that ends before it begins", "health: { expect_status: 399..200 }\n", 1, /ends before/],
    ["a canary without steps", "environments: { production: { strategy: { canary: {} } } }\n", 1, /steps/],
  ])("answers %s with its place", (_name, source, line, message) => {
    const [problem] = problemsOf(source);
    expect(problem?.line).toBe(line);
    expect(problem?.message).toMatch(message);
  });
});

describe("a hostile signalbox.yaml", () => {
  it("does not expand an alias bomb, nor read a huge or bottomless file", () => {
    const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
    for (let i = 1; i < 9; i++)
      bomb.push(`${"abcdefghi"[i]}: &${"abcdefghi"[i]} [${`*${"abcdefghi"[i - 1]},`.repeat(9)}]`);
    for (const source of [
      bomb.join("\n"),
      "x".repeat(300_000),
      "[".repeat(200_000),
      "- ".repeat(100_000),
      "a: &a [*a]",
    ]) {
      expect(problemsOf(source).length).toBeGreaterThan(0);
    }
  });

  it("never throws, whatever the text", () => {
    const word = fc.constantFrom(
      "name",
      "env",
      "health",
      "environments",
      ": ",
      "\n",
      "  ",
      "\t",
      "- ",
      "[",
      "]",
      "{",
      "}",
      "&a ",
      "*a",
      "? ",
      "|",
      ">",
      "'",
      '"',
      "!!",
      "<<",
      "canary",
      "steps",
      "weight",
      "1",
      "~",
      "__proto__",
      "%",
      "---\n",
      "\0",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(word, { maxLength: 40 }).map((words) => words.join("")),
          fc.string({ unit: "binary" }),
        ),
        (source) => {
          const parsed = parseConfig(source);
          if (parsed.ok) {
            resolvePlan(parsed.config, "production");
          } else {
            expect(parsed.problems.length).toBeGreaterThan(0);
            for (const problem of parsed.problems) expect(problem.line).toBeGreaterThan(0);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("any data as signalbox.yaml", () => {
  it("never throws on data of the right shape with wrong values", () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(
        fc.record(
          {
            name: value,
            build: value,
            env: value,
            health: value,
            environments: fc.record({
              production: value,
              staging: fc.record({ strategy: value, health: value }),
            }),
          },
          { requiredKeys: [] },
        ),
        (data) => {
          parseConfig(JSON.stringify(data));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("accepts the example that ships with Signalbox", async () => {
    const path = resolve(import.meta.dirname, "../../examples/storefront/signalbox.yaml");
    expect(problemsOf(await readFile(path, "utf8"))).toEqual([]);
  });
});
