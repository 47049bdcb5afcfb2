import { describe, expect, it } from "vitest";
import { parseConfig, requireConfig } from "./parse-config.ts";
import { resolvePlan } from "./plan.ts";

const yaml = (failover: string) => `environments: { production: { failover: ${failover} } }`;
const policyOf = (failover: string) => resolvePlan(requireConfig(yaml(failover)), "production").failover;
const problemsOf = (text: string): string => {
  const parsed = parseConfig(text);
  return parsed.ok ? "" : parsed.problems.map(({ message, hint }) => `${message}. ${hint}`).join(" ");
};

const CLOUDFLARE = "{ zone: example.com, primary: cname.vercel-dns.com, standby: edge.example.net }";
const WITH_SWITCH = `to: dock, hostname: www.example.com, switch: { cloudflare: ${CLOUDFLARE} }`;

describe("failover", () => {
  it("is a word for a standby that people switch to", () => {
    expect(policyOf("dock")).toEqual({
      to: "dock",
      hostname: null,
      url: null,
      switch: null,
      automatic: false,
      probe: { intervalMs: 10_000, timeoutMs: 5_000, primaryUrl: null, witnesses: [], statusPage: null },
      away: { failures: 5, forMs: 60_000 },
      recovered: { successes: 20, forMs: 600_000 },
      minIntervalMs: 600_000,
      maxPerDay: 4,
    });
    expect(policyOf("{ to: dock }")).toEqual(policyOf("dock"));
  });

  it("names a hostname and what moves it", () => {
    expect(
      policyOf(`{ ${WITH_SWITCH}, automatic: true, away: { failures: 2, for: 5s }, max_per_day: 9 }`),
    ).toMatchObject({
      hostname: "www.example.com",
      url: "https://www.example.com",
      automatic: true,
      switch: {
        kind: "cloudflare",
        zone: "example.com",
        primary: "cname.vercel-dns.com",
        standby: "edge.example.net",
        ttlS: 60,
        proxied: false,
      },
      away: { failures: 2, forMs: 5_000 },
      maxPerDay: 9,
    });
    const webhook =
      "{ to: dock, hostname: www.example.com, switch: { webhook: { url: 'https://dns.example.com/' } } }";
    expect(policyOf(webhook)?.switch).toEqual({ kind: "webhook", url: "https://dns.example.com/" });
  });

  it("is in no plan that does not ask for it, nor in another environment's", () => {
    expect(resolvePlan(requireConfig("name: shop"), "production")).not.toHaveProperty("failover");
    expect(resolvePlan(requireConfig(yaml("dock")), "staging")).not.toHaveProperty("failover");
  });

  it.each([
    ["somewhere else", yaml("aws"), /failover must be "dock"/],
    ["automatic without a switch", yaml("{ to: dock, automatic: true }"), /names no switch/],
    [
      "a switch without a hostname",
      yaml(`{ to: dock, switch: { cloudflare: ${CLOUDFLARE} } }`),
      /no hostname that it would move/,
    ],
    [
      "two sides of two kinds",
      yaml(`{ ${WITH_SWITCH.replace("cname.vercel-dns.com", "192.0.2.1")} }`),
      /of two kinds/,
    ],
    [
      "two switches",
      yaml("{ to: dock, hostname: a.example.com, switch: {} }"),
      /exactly one of cloudflare and webhook/,
    ],
    ["a hostname with a port", yaml("{ to: dock, hostname: 'a.example.com:80' }"), /no host name/],
    ["a key that is misspelt", yaml(`{ ${WITH_SWITCH}, automatik: true }`), /Did you mean "automatic"/],
    ["another environment", "environments: { staging: { failover: dock } }", /"failover" is no key/],
  ])("refuses %s", (_name, text, problem) => {
    expect(problemsOf(text)).toMatch(problem);
  });
});
