import { expect, test } from "vitest";
import { aService } from "../../test/support/deployment-row.ts";
import type { ProbeRequest, ProbeResult } from "../deployments/index.ts";
import { lookAtPrimary } from "./look.ts";
import type { FailoverPolicy } from "./policy.ts";
import { judge } from "./verdict.ts";

const HOSTNAME = "www.example.com";
const policy = {
  hostname: HOSTNAME,
  url: `https://${HOSTNAME}`,
  probe: { intervalMs: 10_000, timeoutMs: 1_000, primaryUrl: null, witnesses: [], statusPage: null },
} as unknown as FailoverPolicy;

/** What answers at which host; every other refuses. */
type World = Readonly<Record<string, string>>;

function look(serving: "primary" | "standby", urls: readonly string[], world: World, more = {}) {
  const asked: string[] = [];
  const guarded: Record<string, string | undefined> = {};
  const probe = async ({ url, guardedFor }: ProbeRequest): Promise<ProbeResult> => {
    const { hostname } = new URL(url);
    guarded[hostname] = guardedFor;
    asked.push(hostname);
    const deploymentHeader = world[hostname];
    if (deploymentHeader !== undefined) return { ok: true, status: 200, latencyMs: 1, deploymentHeader };
    return { ok: false, status: null, latencyMs: 1, unreachable: true, error: "the connection was refused" };
  };
  const place = {
    projectId: "prj_shop",
    serving,
    policy: { ...policy, probe: { ...policy.probe, ...more } },
  };
  const standby = {
    answeringSince: new Date(),
    mirrored: [{ targetDeploymentId: "dpl_dock" }],
  } as unknown as Parameters<typeof lookAtPrimary>[3];
  const live = { services: [aService("app", { urls: [...urls] })] };
  const deps = { probe, statusPage: async () => null };
  return lookAtPrimary(deps, place, live, standby, new AbortController().signal).then((seen) => ({
    seen,
    asked,
    guarded,
    verdict: judge(seen).verdict,
  }));
}

const OWN = `https://${HOSTNAME}`;
const GIVEN = "https://shop.vercel.app";

test("while the standby serves the hostname, what answers there is not the platform", async () => {
  const dock = { [HOSTNAME]: "dpl_dock" };
  expect(await look("standby", [OWN, GIVEN], dock)).toMatchObject({
    verdict: "away",
    asked: ["shop.vercel.app"],
  });
  expect(await look("standby", [OWN], dock)).toMatchObject({ verdict: "unclear", asked: [] });
});

test("an address that turns out to lead to the standby says nothing of the platform", async () => {
  const moved = { [HOSTNAME]: "dpl_dock", "apex.example.com": "dpl_dock" };
  expect(await look("standby", [OWN, "https://apex.example.com"], moved)).toMatchObject({
    verdict: "unclear",
  });
  const primaryUrl = "https://apex.example.com";
  expect(await look("standby", [OWN], moved, { primaryUrl })).toMatchObject({ verdict: "unclear" });
});

test("a hostname that fails is told apart from a platform that fails", async () => {
  const world = { "shop.vercel.app": "dpl_1" };
  expect(await look("primary", [OWN, GIVEN], world)).toMatchObject({ verdict: "hostname" });
});

test("what a user of the project wrote down is asked in its name, and what the platform gave is not", async () => {
  const witnesses = ["https://witness.example.com"];
  expect((await look("primary", [OWN, GIVEN], {}, { witnesses })).guarded).toEqual({
    [HOSTNAME]: "prj_shop",
    "witness.example.com": "prj_shop",
    "shop.vercel.app": undefined,
  });
  const primaryUrl = "https://apex.example.com";
  expect((await look("standby", [OWN], {}, { primaryUrl })).guarded).toEqual({
    "apex.example.com": "prj_shop",
  });
});
