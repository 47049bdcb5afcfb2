import { describe, expect, test } from "vitest";
import { loadProbes } from "../providers/probes/index.ts";
import { settingsIssues } from "./check-rules.ts";
import { DEFAULT_POLICY } from "./model.ts";
import { planSync } from "./plan-sync.ts";
import { type DeployedService, deployedChecks, overlay, usedChecks } from "./seeds.ts";

const HEALTH: DeployedService["health"] = {
  checks: [{ type: "http", path: "/healthz", expectStatus: [200, 399], contains: null }],
  timeoutMs: 5_000,
  graceMs: 0,
};
const WEB: DeployedService = {
  name: "web",
  urls: ["https://shop.example.com", "https://shop.vercel.app"],
  health: {
    ...HEALTH,
    checks: [
      { type: "http", path: "/healthz?deep=1", expectStatus: [200, 200], contains: "ok" },
      { type: "tcp" },
      { type: "websocket", path: "/live" },
    ],
    timeoutMs: 20_000,
    graceMs: 3_000,
  },
};
const named = (checks: readonly { name: string }[]) => checks.map(({ name }) => name);

describe("without a line written", () => {
  test("a deployed service is checked at its public address by what proved its release", () => {
    const checks = deployedChecks([WEB, { ...WEB, name: "dark", urls: [] }], null);
    expect(checks.map(({ name, type, source, settings }) => [name, type, source, settings])).toEqual([
      [
        "web",
        "http",
        "deployment",
        { url: "https://shop.example.com/healthz?deep=1", expect: { status: 200, contains: "ok" } },
      ],
      ["web.2", "tcp", "deployment", { host: "shop.example.com", port: 443 }],
      ["web.3", "websocket", "deployment", { url: "wss://shop.example.com/live" }],
      ["tls.shop.example.com", "tls", "config", { host: "shop.example.com", port: 443 }],
    ]);
    expect(checks[0]?.policy).toMatchObject({
      intervalMs: 10_000,
      timeoutMs: 10_000,
      graceMs: 3_000,
      critical: true,
    });
    expect(checks[3]?.policy.critical).toBe(false);
  });

  test("two long hosts with the same beginning have a check of their certificate each", () => {
    const far = `${"a".repeat(60)}.example.com`;
    const urls = [`https://1.${far}`, `https://${far}`, `https://${"a".repeat(60)}.example.org`];
    const names = deployedChecks([{ ...WEB, urls }], null).map(({ name }) => name);
    const certificates = names.filter((name) => name.startsWith("tls."));
    expect(new Set(certificates).size).toBe(3);
    for (const name of certificates) expect(name.length).toBeLessThanOrEqual(63);
  });

  test("a preview's is checked under the preview's name, holds up nobody, and its certificate is not ours", () => {
    const [check, ...others] = deployedChecks([{ ...WEB, health: HEALTH }], "pr-42");
    expect(check).toMatchObject({ name: "web@pr-42", policy: { critical: false, intervalMs: 30_000 } });
    expect(others).toEqual([]);
  });

  test("what an environment says that it uses is checked; what it needs of others is a secret", () => {
    const { checks, gaps } = usedChecks(
      {
        database: { host: "db.internal", port: 5432, ssl: true },
        redis: { url: "redis://cache:6379" },
        browserbase: { projectId: "bb_1", region: "us-west-2" },
        prometheusEndpoint: "https://prom.example/base",
      },
      {},
    );
    expect(gaps).toEqual([]);
    expect(checks.map(({ name, type, settings, policy }) => [name, type, policy.critical, settings])).toEqual(
      [
        ["database", "postgres", true, { host: "db.internal", port: 5432, tls: { insecure: true } }],
        ["redis", "redis", true, { url: "redis://cache:6379" }],
        [
          "browserbase",
          "browserbase",
          false,
          { apiKey: { secret: "BROWSERBASE_API_KEY" }, projectId: "bb_1" },
        ],
        ["prometheus", "http", false, { url: "https://prom.example/base/-/ready" }],
      ],
    );
  });

  test.each([
    [{ host: "db" }, { DATABASE_URL: "postgres://u:p@db/x" }, "postgres", { url: "postgres://u:p@db/x" }],
    [{ host: "db" }, { OTHER_URL: "mysql://u:p@db/x" }, "mysql", { url: "mysql://u:p@db/x" }],
    [{ host: "db" }, { DATABASE_URL: "postgres://u:p@elsewhere/x" }, "postgres", { host: "db" }],
    [{}, { DATABASE_URL: "mongodb://u:p@db/x" }, "mongodb", { url: "mongodb://u:p@db/x" }],
  ])("the database %j with %j is asked as the application asks it", (database, env, type, settings) => {
    expect(usedChecks({ database }, env).checks).toMatchObject([{ type, settings }]);
  });

  test("a database that nobody could find is a gap, with what to do", () => {
    const { checks, gaps } = usedChecks({ database: { port: 5432 } }, { API_URL: "https://x" });
    expect(checks).toEqual([]);
    expect(gaps).toMatchObject([{ subject: "database" }]);
  });

  test("every setting is one that its type knows", async () => {
    const rules = { kinds: await loadProbes(), allowLocal: false };
    const uses = {
      database: { host: "db.internal", port: 5432, ssl: true },
      redis: { url: "redis://:secret@cache:6379/2" },
      browserbase: { projectId: "bb_1", region: "us-west-2" },
      prometheusEndpoint: "https://prom.example",
    };
    const urls = ["DATABASE_URL=postgres://u:p@db/x", "A=mysql://u:p@db/x", "B=mongodb://u:p@db/x"];
    const seeds = [
      ...deployedChecks([WEB, { ...WEB, name: "api", health: HEALTH }], null),
      ...usedChecks(uses, {}).checks,
      ...urls.flatMap((line) => {
        const [name = "", value = ""] = line.split(/=(.*)/);
        return usedChecks({ database: { host: "db" } }, { [name]: value }).checks;
      }),
    ];
    const problems = seeds.map(({ type, settings }) => [type, settingsIssues(rules, type, settings)]);
    expect(problems.filter(([, issues]) => issues?.length !== 0)).toEqual([]);
  });
});

test("a check that was written takes the place of the one of its name; null takes it away", () => {
  const seeds = deployedChecks(
    [
      { ...WEB, health: HEALTH },
      { ...WEB, health: HEALTH },
    ],
    null,
  );
  const own = { type: "http", settings: { url: "https://x.example" }, policy: DEFAULT_POLICY } as const;
  const checks = overlay(seeds, { web: own, "tls.shop.example.com": null, more: own });
  expect(checks).toMatchObject([
    { name: "web", source: "config", settings: { url: "https://x.example" } },
    { name: "more" },
  ]);
  expect(named(overlay(seeds, {}))).toEqual(["web", "tls.shop.example.com"]);
  const [web] = seeds;
  if (web) expect(named(overlay([{ ...web, name: "constructor" }], {}))).toEqual(["constructor"]);
});

describe("following a deployment", () => {
  const [web, tls] = deployedChecks([{ ...WEB, health: HEALTH }], null);
  if (!web || !tls) throw new Error("no seeds");
  const there = (check: typeof web) => ({ ...structuredClone(check), id: `chk_${check.name}` });

  test("touches nothing that stays the same", () => {
    expect(planSync([web, tls], [there(web), there(tls)])).toEqual({
      make: [],
      change: [],
      retire: [],
      taken: [],
    });
  });

  test("changes what is asked otherwise, makes what is new, retires what is gone", () => {
    const slower = { ...web, policy: { ...web.policy, intervalMs: 60_000 } };
    const plan = planSync([slower], [there(web), there(tls)]);
    expect(plan.change).toMatchObject([{ id: "chk_web", policy: { intervalMs: 60_000 } }]);
    expect(named(plan.retire)).toEqual([tls.name]);
    expect(named(planSync([web, tls], [there(web)]).make)).toEqual([tls.name]);
  });

  test("makes another check of what is asked by another protocol", () => {
    const plan = planSync([{ ...web, type: "tcp" }], [there(web)]);
    expect([named(plan.make), named(plan.retire), plan.change]).toEqual([["web"], ["web"], []]);
  });

  test("leaves alone what was made by hand, also where its name is wanted", () => {
    const plan = planSync(
      [web],
      [
        { ...there(web), source: "api" },
        { ...there(tls), source: "api" },
      ],
    );
    expect([named(plan.taken), plan.make, plan.retire]).toEqual([["web"], [], []]);
  });
});
