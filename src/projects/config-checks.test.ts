import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { CheckRules } from "../checks/index.ts";
import type { ProbeKind } from "../checks/probe-kind.ts";
import { parseConfig, requireConfig } from "./parse-config.ts";
import { resolveChecks } from "./plan-checks.ts";

const kind = (settings: z.ZodType, local = false) =>
  ({ settings, subject: () => "subject", local }) as Pick<ProbeKind, "settings" | "subject" | "local">;
const RULES: CheckRules = {
  kinds: new Map([
    ["http", kind(z.strictObject({ url: z.url(), status: z.number().int().optional() }))],
    ["redis", kind(z.strictObject({ url: z.string().regex(/^rediss?:/), maxMemory: z.number().optional() }))],
    ["command", kind(z.strictObject({ command: z.array(z.string()) }), true)],
  ]),
  allowLocal: false,
};

function problemsOf(source: string, rules = RULES) {
  const parsed = parseConfig(source, rules);
  return parsed.ok ? [] : parsed.problems;
}
const placed = (source: string, rules = RULES) =>
  problemsOf(source, rules).map(({ line, column, path }) => `${line}:${column} ${path}`);

describe("checks in signalbox.yaml", () => {
  test("are resolved for an environment: its own word wins, false takes one away, and previews have none", () => {
    const config = requireConfig(
      `env: { CACHE: "redis://a" }
checks:
  page: { type: http, url: "https://a.example/", interval: 10s, critical: true }
  cache: { type: redis, url: { variable: CACHE } }
environments:
  staging: { checks: { page: false } }
  production:
    env: { CACHE: "redis://b" }
    checks:
      page: { type: http, url: "https://b.example/", timeout: 2s, degraded: 800ms, depends_on: [cache] }
`,
      RULES,
    );
    const production = resolveChecks(config, "production");
    expect(production.env).toEqual({ CACHE: "redis://b" });
    expect(production.configured.page).toMatchObject({
      type: "http",
      settings: { url: "https://b.example/" },
      policy: {
        intervalMs: 30_000,
        timeoutMs: 2_000,
        degradedMs: 800,
        critical: false,
        dependsOn: ["cache"],
      },
    });
    expect(production.configured.cache?.settings).toEqual({ url: { variable: "CACHE" } });
    expect(resolveChecks(config, "staging").configured).toMatchObject({
      page: null,
      cache: { type: "redis" },
    });
    expect(resolveChecks(config, "preview")).toMatchObject({ configured: {}, uses: {} });
  });

  test("a short interval brings its timeout down, and what is critical goes first", () => {
    const config = requireConfig("checks: { a: { type: tcp, interval: 1s, critical: true } }");
    expect(resolveChecks(config, "staging").configured.a?.policy).toMatchObject({
      intervalMs: 1_000,
      timeoutMs: 1_000,
      priority: 10,
      failures: 3,
      successes: 2,
      locations: ["local"],
    });
  });

  test("all mistakes are told at once, with those of the rest of the file, each where it stands", () => {
    const source = `build: { comand: x }
checks:
  Page: { type: http, url: "https://a.example" }
  page: { type: htp }
  api:
    type: http
    url: nonsense
    statsu: 200
    interval: 10
  cache:
    type: redis
    url: "http://user:hunter2@a"
    timeout: 20s
    interval: 10s
    depends_on: [cache, databse]
environments:
  staging:
    services: { database: { host: db } }
    checks:
      worker: { type: command, command: [true] }
      other: { type: redis, url: { variable: NOPE } }
  preview: { checks: {} }
`;
    expect(placed(source)).toEqual([
      "1:10 build.comand",
      "3:3 checks.Page",
      "4:17 checks.page.type",
      "7:10 checks.api.url",
      "8:5 checks.api.statsu",
      "9:15 checks.api.interval",
      "12:10 checks.cache.url",
      "13:14 checks.cache.timeout",
      "15:18 checks.cache.depends_on.0",
      "15:25 checks.cache.depends_on.1",
      "20:23 environments.staging.checks.worker.type",
      "20:42 environments.staging.checks.worker.command.0",
      "21:34 environments.staging.checks.other.url",
      "22:14 environments.preview.checks",
    ]);
    const hints = Object.fromEntries(problemsOf(source).map(({ path, hint }) => [path, hint]));
    expect(hints["checks.page.type"]).toBe('Did you mean "http"?');
    expect(hints["checks.api.statsu"]).toBe('Did you mean "status"?');
    expect(hints["checks.cache.depends_on.1"]).toBe('Did you mean "database"?');
    expect(JSON.stringify(problemsOf(source))).not.toContain("hunter2");
  });

  test("what a reference will bring is not judged before it is there; everything beside it is", () => {
    const source = `checks:
  a: { type: redis, url: { secret: REDIS_URL }, maxMemory: lots }
  b: { type: redis, url: { secret: REDIS_URL, or: x } }
`;
    expect(placed(source)).toEqual(["2:60 checks.a.maxMemory", "3:26 checks.b.url"]);
  });

  test("what runs on the prober's own machine is no commit's to ask for, unless the installation lets it", () => {
    const source = "checks: { a: { type: command, command: [x] } }";
    expect(problemsOf(source)).toMatchObject([{ path: "checks.a.type" }]);
    expect(problemsOf(source, { ...RULES, allowLocal: true })).toEqual([]);
  });

  test("checks that depend on each other in a circle are refused, also across the file's levels", () => {
    const source = `checks:
  a: { type: tcp, depends_on: [b] }
environments:
  production: { checks: { b: { type: tcp, depends_on: [c] }, c: { type: tcp, depends_on: [a] } } }
`;
    expect(problemsOf(source)).toMatchObject([{ path: "checks.a.depends_on" }]);
  });

  test("may depend on what is checked by itself: services, blocks, certificates", () => {
    const source = `services: { web: , worker: }
checks: { a: { type: tcp, depends_on: [web, web.2, tls.shop.example.com] } }
environments:
  production:
    services: { database: { host: db } }
    monitoring: { prometheusEndpoint: "https://prom.example" }
    checks: { b: { type: tcp, depends_on: [database, prometheus, worker] } }
`;
    expect(problemsOf(source)).toEqual([]);
  });

  test.each([
    "checks: 5",
    "checks: { a: }",
    "checks: { a: [] }",
    "checks: { a: { type: [] } }",
    "checks: { a: true }",
  ])("%s is a problem, and no exception", (source) => {
    expect(problemsOf(source)).toHaveLength(1);
  });
});
