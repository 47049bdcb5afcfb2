import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type FaultyVercel, startFaultyVercel } from "../support/faulty-vercel.ts";
import { folderOf, freePorts, startTestInstance, type TestInstance } from "../support/instance.ts";

/** Signalbox whose target is reached through a faulty network, and where others have their hands in it. */
let at: TestInstance;
let vercel: FaultyVercel;
beforeAll(async () => {
  const ports = await freePorts();
  vercel = await startFaultyVercel(() => `http://127.0.0.1:${ports.dock}`);
  at = await startTestInstance(
    {
      SIGNALBOX_VERCEL_API: vercel.url,
      // The target's webhooks have only this machine to go to.
      SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8",
    },
    ports,
  );
});
afterAll(async () => {
  await at.remove();
  await vercel.close();
});
beforeEach(() => vercel.reset());

const YAML = `name: birds
health: { path: /, interval: 100ms, timeout: 1s, min_healthy_time: 0s, deadline: 20s }
environments: { production: { strategy: { canary: { steps: [{ weight: 50, bake: 2s }], min_requests: 0 } } } }
`;
const site = (text: string) => ({ "signalbox.yaml": YAML, "index.html": text });

/** As somebody with the target's own tools. */
async function atTarget(method: string, path: string) {
  const { dockToken } = JSON.parse(await readFile(join(at.dir, "secrets.json"), "utf8"));
  return fetch(at.dockUrl + path, { method, headers: { authorization: `Bearer ${dockToken}` } });
}

// biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
const outside = async (): Promise<any> => (await at.call("/api/projects/birds/outside")).json();
const kinds = async () => (await outside()).events.map(({ kind }: { kind: string }) => kind);
async function look(): Promise<void> {
  const before = (await outside()).watches[0]?.lookedAt ?? null;
  await at.call("/api/projects/birds/outside/look", { method: "POST" });
  await expect.poll(async () => (await outside()).watches[0]?.lookedAt ?? null, WAIT).not.toBe(before);
}
const WAIT = { timeout: 60_000, interval: 100 };

test("lost answers double nothing, an outage takes nothing back, and what others do is told once", async () => {
  await using app = await folderOf(site("v1"));
  // Every request that changes something is carried out, and its first answer is lost.
  const lost = { kind: "drop", carriedOut: true } as const;
  for (const path of ["/v13/deployments$", "/promote/", "/rolling-release/start"]) {
    vercel.meet(new RegExp(`^POST .*${path}`), lost, 1);
  }
  const first = await at.deploy(app.path, "--env", "production");
  expect(first, first.output).toMatchObject({ state: "live" });
  const list = async () =>
    (await (await atTarget("GET", "/v7/deployments")).json()) as { deployments: unknown[] };
  expect((await list()).deployments).toHaveLength(1);
  expect((await at.get(first.urls[0] ?? "")).body).toBe("v1");

  await app.write(site("v2"));
  const going = at.deploy(app.path, "--env", "production");
  const newest = async () => {
    const { deployments } = (await (await at.call("/api/deploy/list?limit=1")).json()) as {
      // biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
      deployments: any[];
    };
    return deployments[0];
  };
  await expect.poll(async () => (await newest()).state, WAIT).toBe("shifting");
  vercel.meet(/./, { kind: "drop", carriedOut: false });
  await expect.poll(async () => (await newest()).blocked, WAIT).toMatchObject({ by: "outage" });
  const shown = await at.cli(["status"]);
  expect(shown.output).toMatch(/shifting \(blocked\)/);
  vercel.reset();
  const second = await going;
  expect(second, second.output).toMatchObject({ state: "live" });
  expect(second.output).toMatch(/Blocked: the target does not answer/);
  expect((await at.get(second.urls[0] ?? "")).body).toBe("v2");
  expect((await list()).deployments).toHaveLength(2);

  await look();
  expect(await kinds()).toEqual([]);
  const [{ targetProjectId }] = (await outside()).watches;
  await atTarget("POST", `/v1/projects/${targetProjectId}/rollback/${first.targetDeploymentId}`);
  await Promise.all([look(), look()]);
  await look();
  expect((await kinds()).sort()).toEqual(["pinned", "rolled_back"]);
  const told = await at.cli(["status"]);
  expect(told.output).toMatch(/which Signalbox did not put there/);
  expect(told.output).toMatch(/birds is pinned by a rollback/);
  expect((await at.cli(["outside"])).output).toMatch(
    /rolled back to dpl_\w+ from dpl_\w+, outside of Signalbox/,
  );

  await app.write(site("v3"));
  const third = await at.deploy(app.path, "--env", "production");
  expect(third, third.output).toMatchObject({ state: "live" });
  await look();
  expect((await outside()).watches[0]).toMatchObject({ isOurs: true, pinned: false, autoAssign: true });
  expect((await at.get(third.urls[0] ?? "")).body).toBe("v3");

  // From now on the target tells us, and nobody has to look.
  const url = `${at.url}/api/webhooks/vercel/birds`;
  const made = await at.cli(["outside", "webhook", "--url", url]);
  expect(made.output).toMatch(/Made at Vercel/);
  await atTarget("POST", `/v1/projects/${targetProjectId}/rollback/${second.targetDeploymentId}`);
  const rollbacks = async () => (await kinds()).filter((kind: string) => kind === "rolled_back");
  await expect.poll(rollbacks, { ...WAIT, timeout: 30_000 }).toHaveLength(2);
}, 300_000);
