import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/foundation/process.ts";
import { readState } from "../../src/supervisor/state.ts";
import { appFiles, type serverJs, until, whoAnswers } from "../support/app-stand.ts";
import {
  CLOUDFLARE_TOKEN,
  type CloudflareDouble,
  startCloudflareDouble,
} from "../support/cloudflare-double.ts";
import { type CutProxy, startCutProxy } from "../support/cut-proxy.ts";
import { type DockPlatform, startPlatform, TOKEN } from "../support/dock-platform.ts";
import { folderOf, startTestInstance, type TestInstance } from "../support/instance.ts";

/** Two real docks: one plays Vercel, behind proxies that can be cut; the other one is the instance's own. */
let vercel: DockPlatform;
let api: CutProxy;
let edge: CutProxy;
let cloudflare: CloudflareDouble;
let at: TestInstance;
let visitors: Server;
let site: string;

const HOST = "www.shop.localhost";
const PRIMARY = "primary.example.com";
const STANDBY = "dock.example.com";

beforeAll(async () => {
  [vercel, cloudflare] = await Promise.all([startPlatform(), startCloudflareDouble()]);
  api = await startCutProxy({ host: "127.0.0.1", port: Number(new URL(vercel.url).port) });
  edge = await startCutProxy({ host: "127.0.0.1", port: vercel.gatewayPort });
  const zone = cloudflare.addZone("shop.localhost");
  cloudflare.addRecord(zone, { type: "CNAME", name: HOST, content: PRIMARY });
  at = await startTestInstance({
    SIGNALBOX_VERCEL_API: `http://127.0.0.1:${api.port}`,
    SIGNALBOX_VERCEL_TOKEN: TOKEN,
    SIGNALBOX_VERCEL_PUBLIC: `http://localhost:${edge.port}`,
    SIGNALBOX_CLOUDFLARE_API: cloudflare.api,
    SIGNALBOX_CLOUDFLARE_TOKEN: CLOUDFLARE_TOKEN,
    SIGNALBOX_ALLOW_NETWORKS: "127.0.0.0/8",
  });
  visitors = await startVisitors();
  site = `http://${HOST}:${(visitors.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await at?.remove();
  visitors?.close();
  await Promise.all([api?.close(), edge?.close(), cloudflare?.close()]);
  await vercel?.close();
});

/** What a visitor's resolver and network do: the connection goes where the record points now. */
async function startVisitors(): Promise<Server> {
  const server = createServer((client) => {
    const [content] = cloudflare.resolve(HOST);
    const upstream = connect({ host: "127.0.0.1", port: content === STANDBY ? at.gatewayPort : edge.port });
    for (const [one, other] of [[client, upstream] as const, [upstream, client] as const]) {
      one.on("error", () => {}).on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return server;
}

/** A release that turns bad is to stay: whether it is taken back is another test's matter. */
const yaml = (automatic: boolean) => `environments:
  production:
    watch: 0s
    failover:
      to: dock
      hostname: ${HOST}
      url: ${site}
      automatic: ${automatic}
      switch: { cloudflare: { zone: shop.localhost, primary: ${PRIMARY}, standby: ${STANDBY} } }
      probe: { interval: 100ms, timeout: 2s }
      away: { failures: 2, for: 500ms }
      recovered: { successes: 2, for: 500ms }
      min_interval: 1s
      max_per_day: 50
`;

// biome-ignore lint/suspicious/noExplicitAny: the tests assert on the parts that they name
async function failover(): Promise<any> {
  return (await at.call("/api/projects/shop/failover")).json();
}

const serves = (side: string) =>
  until(async () => {
    const found = await failover();
    return found.serving === side && found.switch === null && found;
  });
const mirrors = (deploymentId: string) =>
  until(async () => {
    const { standby } = await failover();
    return standby?.state === "ready" && standby.mirrors === deploymentId && standby;
  });
const eventsOf = (switchId: string, found: { events: { switchId: string; kind: string }[] }) =>
  found.events.filter((event) => event.switchId === switchId).map(({ kind }) => kind);

type ServerCode = Parameters<typeof serverJs>[1];

/** Deploys to "Vercel", where the project has its domain. */
async function deploy(version: string, automatic: boolean, code: ServerCode = {}): Promise<string> {
  await using app = await folderOf(appFiles("shop", yaml(automatic), version, code));
  const deployed = await at.deploy(app.path, "--env", "production");
  expect(deployed, deployed.output).toMatchObject({ state: "live" });
  const [service] = (deployed as unknown as { services: { targetDeploymentId: string }[] }).services;
  const path = `/v2/deployments/${service?.targetDeploymentId}/aliases`;
  const body = JSON.stringify({ alias: HOST });
  const headers = { "content-type": "application/json" };
  expect((await vercel.fetch(path, { method: "POST", body, headers })).status).toBe(200);
  return deployed.id;
}

/** A new visitor: one who comes again would come by the connection that is open. */
const visitor = () => whoAnswers(site, { connection: "close" });

function cutVercel(): void {
  api.cut();
  edge.cut();
}

function healVercel(): void {
  api.heal();
  edge.heal();
}

test("when Vercel goes away, the dock serves the same release at the same hostname, until Vercel is back", async () => {
  const first = await deploy("one", true);
  const standby = await mirrors(first);
  expect(await whoAnswers(standby.url)).toMatchObject({ version: "one" });
  const before = await visitor();
  expect(before.version).toBe("one");

  cutVercel();
  const away = await serves("standby");
  expect(cloudflare.resolve(HOST)).toEqual([STANDBY]);
  const during = await visitor();
  expect(during.version).toBe("one");
  expect(during.pid).not.toBe(before.pid);
  expect(away).toMatchObject({ switchedBy: "automatic", primary: { verdict: "away" } });

  healVercel();
  const back = await serves("primary");
  expect(cloudflare.resolve(HOST)).toEqual([PRIMARY]);
  expect(await visitor()).toEqual(before);
  const kinds = back.events.filter(({ switchId }: { switchId: string | null }) => switchId !== null);
  expect(kinds.map(({ kind, side }: { kind: string; side: string }) => `${kind} ${side}`)).toEqual([
    "switched primary",
    "switching primary",
    "switched standby",
    "switching standby",
  ]);
});

test("a new release is mirrored too, and people move the hostname by hand, there and back", async () => {
  const second = await deploy("two", false);
  await mirrors(second);
  const to = await at.cli(["failover", "to", "dock", "--reason", "a drill"]);
  expect(to.code, to.output).toBe(0);
  expect((await visitor()).version).toBe("two");
  expect(await failover()).toMatchObject({ serving: "standby", switchedBy: "person" });
  // What a person moved stays where it is, however well Vercel is.
  const status = await at.cli(["failover", "status"]);
  expect(status.output).toContain("the dock, since");
  await until(async () => (await failover()).primary.verdict === "well");
  const back = await at.cli(["failover", "back"]);
  expect(back.code, back.output).toBe(0);
  expect(await failover()).toMatchObject({ serving: "primary", switch: null });
});

test("a release that is bad moves nobody: the dock would serve the same", async () => {
  const third = await deploy("three", true, {
    ask: 'if (q.url === "/break") globalThis.broken = true;',
    health: 'if (globalThis.broken) { s.statusCode = 500; return s.end("broken"); }',
  });
  await mirrors(third);
  await vercel.visit(HOST, "/break");
  const lastingMs = 2_000;
  const found = await until(async () => {
    const now = await failover();
    const { verdict, since, checkedAt } = now.primary;
    return verdict === "release" && Date.parse(checkedAt) - Date.parse(since) > lastingMs && now;
  });
  expect(found).toMatchObject({ serving: "primary", switch: null, standby: { state: "ready" } });
  expect(cloudflare.resolve(HOST)).toEqual([PRIMARY]);
});

test("a control plane that is killed in the middle of a switch finishes it, once", async () => {
  const held = cloudflare.hold("PATCH");
  const asked = await at.cli(["failover", "to", "dock", "--detach", "--json"]);
  expect(asked.code, asked.output).toBe(0);
  const { id } = JSON.parse(asked.stdout).switch;
  await held.reached;
  const pid = (await readState(at.dir))?.processes.control?.pid ?? 0;
  process.kill(pid, "SIGKILL");
  await until(async () => !isAlive(pid));
  held.letGo();
  await until(async () => (await at.call("/api/health/ready").catch(() => null))?.ok);
  const found = await serves("standby");
  expect(eventsOf(id, found).sort()).toEqual(["switched", "switching"]);
  expect((await visitor()).version).toBe("three");
});
