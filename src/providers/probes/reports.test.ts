import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort, probing } from "../../../test/support/probing.ts";
import { browserless } from "./browserless.ts";
import { selenium } from "./selenium.ts";
import { statuspage } from "./statuspage.ts";

/** A server that reports on itself at one path, with a token where it has one. */
const reports = { path: "", status: 200, body: {} as unknown, token: null as string | null };
const server = http.createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://x");
  const isAllowed = reports.token === null || url.searchParams.get("token") === reports.token;
  const status = !isAllowed ? 401 : url.pathname === reports.path ? reports.status : 404;
  response.writeHead(status, { "content-type": "application/json" });
  response.end(status === 404 ? "no" : JSON.stringify(reports.body));
});
let url: string;
beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const failed = (status: string, name: string, message: RegExp) => ({
  status,
  failure: { class: name, message: expect.stringMatching(message) },
});

test("statuspage: the whole page, or the components that are named; maintenance is not down", async () => {
  const page = (indicator: string, components: Record<string, string> = {}, incidents: string[] = []) => ({
    page: { id: "p1", name: "Vendor", url, time_zone: "Etc/UTC", updated_at: "2026-01-01T00:00:00.000Z" },
    components: Object.entries(components).map(([name, status], at) => ({
      id: `c${at}`,
      name,
      status,
      group: false,
    })),
    incidents: incidents.map((name) => ({ id: name, name, status: "investigating", impact: "major" })),
    scheduled_maintenances:
      indicator === "maintenance" ? [{ id: "m", name: "m", status: "in_progress" }] : [],
    status: { indicator, description: `All is ${indicator}` },
  });
  const look = (more: object = {}) => probing(statuspage, { url, ...more });
  reports.path = "/api/v2/summary.json";
  reports.body = page("none");
  expect(await look()).toMatchObject({ status: "up", observed: { indicator: "none", incidents: 0 } });
  expect(await look({ url: `${url}/api/v2/summary.json` })).toMatchObject({ status: "up" });
  reports.body = page("maintenance", { API: "under_maintenance" });
  expect(await look()).toMatchObject({ status: "up", observed: { maintenances: 1 } });
  expect(await look({ components: ["API"] })).toMatchObject({ status: "up" });
  reports.body = page("minor");
  expect(await look()).toMatchObject(failed("degraded", "status", /All is minor/));
  reports.body = page("critical", { API: "operational", Web: "major_outage", CDN: "partial_outage" }, [
    "Fire",
  ]);
  expect(await look()).toMatchObject(failed("down", "status", /All is critical \(Fire\)/));
  expect(await look({ components: ["API"] })).toMatchObject({ status: "up" });
  expect(await look({ components: ["API", "CDN"] })).toMatchObject(
    failed("degraded", "status", /CDN partial outage/),
  );
  expect(await look({ components: ["CDN", "c1"] })).toMatchObject(
    failed("down", "status", /Web major outage/),
  );
  expect(await look({ components: ["Gone"] })).toMatchObject(
    failed("down", "unsupported", /no component "Gone"/),
  );
  reports.body = { hello: 1 };
  expect(await look()).toMatchObject(failed("down", "protocol", /no summary/));
  reports.path = "/elsewhere";
  expect(await look()).toMatchObject(failed("down", "status", /404/));
});

test("browserless: its pressure, with its token, which is never shown", async () => {
  const pressure = (more: object = {}) => ({
    pressure: {
      cpu: 12,
      date: 1_767_225_600_000,
      isAvailable: true,
      maxConcurrent: 10,
      maxQueued: 10,
      memory: 30,
      message: "",
      queued: 0,
      reason: "",
      recentlyRejected: 0,
      running: 1,
      ...more,
    },
  });
  const look = (token = "t0ken") => probing(browserless, { url, token });
  Object.assign(reports, { path: "/pressure", token: "t0ken", body: pressure() });
  expect(await look()).toMatchObject({ status: "up", observed: { runningSessions: 1, concurrency: 10 } });
  expect(await look("other")).toMatchObject(failed("down", "auth", /401/));
  expect(JSON.stringify(await look("other"))).not.toContain("other");
  reports.body = pressure({ running: 9 });
  expect(await look()).toMatchObject(failed("degraded", "overloaded", /9 of 10/));
  reports.body = pressure({ running: 10, queued: 3 });
  expect(await look()).toMatchObject(failed("degraded", "overloaded", /3 are waiting/));
  reports.body = pressure({ recentlyRejected: 2 });
  expect(await look()).toMatchObject(failed("degraded", "overloaded", /turned 2/));
  reports.body = pressure({ isAvailable: false, running: 10, queued: 10, reason: "full" });
  expect(await look()).toMatchObject(failed("down", "overloaded", /no other session \(full\)/));
  reports.body = {};
  expect(await look()).toMatchObject(failed("down", "protocol", /no pressure/));
  reports.token = null;
});

test("selenium: the nodes of a grid, or one driver", async () => {
  const node = (running: number, slots = 4, availability = "UP") => ({
    id: "n",
    uri: "http://10.0.0.1:5555",
    availability,
    maxSessions: slots,
    slots: Array.from({ length: slots + 1 }, (_, at) => ({
      session: at < running ? { sessionId: `s${at}` } : null,
      stereotype: { browserName: "chrome" },
    })),
  });
  const grid = (ready: boolean, ...nodes: object[]) => ({ value: { ready, message: "Grid", nodes } });
  const look = (more: object = {}) => probing(selenium, { url, ...more });
  Object.assign(reports, { path: "/status", status: 200, body: grid(true, node(1), node(0)) });
  expect(await look({ nodes: 2 })).toMatchObject({
    status: "up",
    observed: { runningSessions: 1, concurrency: 8 },
  });
  expect(await look({ nodes: 3 })).toMatchObject(failed("degraded", "missing", /2 nodes are up, of 3/));
  expect(await look({ runningWarn: 0.1 })).toMatchObject(failed("degraded", "overloaded", /1 of 8/));
  reports.body = grid(false, node(4), node(4));
  expect(await look()).toMatchObject(failed("degraded", "overloaded", /8 of 8.*wait/));
  reports.body = grid(true, node(0, 4, "DRAINING"), node(0, 4, "DOWN"));
  expect(await look()).toMatchObject(failed("down", "missing", /none of 2/));
  reports.body = grid(false);
  expect(await look()).toMatchObject(failed("down", "missing", /none of 0/));
  reports.body = { value: { ready: true, message: "ready for new sessions" } };
  expect(await look()).toMatchObject({ status: "up" });
  reports.body = { value: { ready: false, message: "Session already started" } };
  expect(await look()).toMatchObject(failed("degraded", "overloaded", /already started/));
  reports.status = 500;
  expect(await look()).toMatchObject(failed("down", "status", /500/));
  reports.status = 200;
  reports.body = [];
  expect(await look()).toMatchObject(failed("down", "protocol", /no status/));
});

test("all of them are refused where nobody listens, and blocked by the guard", async () => {
  const closed = `http://127.0.0.1:${await freePort()}`;
  const settings = { url: closed };
  for (const look of [
    (options = {}) => probing(statuspage, settings, options),
    (options = {}) => probing(browserless, settings, options),
    (options = {}) => probing(selenium, settings, options),
  ]) {
    expect(await look()).toMatchObject(failed("down", "refused", /listens/));
    expect(await look({ network: { allowNetworks: [] } })).toMatchObject(failed("down", "blocked", /public/));
  }
});
