import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DockPlatform, startPlatform } from "../../test/support/dock-platform.ts";

/** What a host's traffic may be besides weights, asked for over the API and seen by a visitor. */
let platform: DockPlatform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.close());

async function call(method: string, path: string, body?: unknown) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await platform.fetch(path, { method, ...sent });
  const text = await response.text();
  // biome-ignore lint/suspicious/noExplicitAny: answers are read as the wire gives them
  return { status: response.status, body: (text === "" ? null : JSON.parse(text)) as any };
}

async function deploy(name: string, files: Record<string, string>, more: object = {}): Promise<string> {
  const inline = Object.entries(files).map(([file, data]) => ({ file, data }));
  const body = { name, files: inline, target: "production", ...more };
  const { body: made } = await call("POST", "/v13/deployments", body);
  await (await platform.fetch(`/v3/deployments/${made.id}/events?follow=1`)).text();
  expect((await call("GET", `/v13/deployments/${made.id}`)).body.readyState).toBe("READY");
  return made.id;
}

const text = async (host: string, path = "/", headers: Record<string, string> = {}) =>
  (await platform.visit(host, path, headers)).text;

describe("skew protection", () => {
  it("answers a page's parts from the release that the page came from, and pages from what is served", async () => {
    const one = await deploy("skew", { "index.html": "page 1", "a.js": "script 1" });
    const other = await deploy("skew-other", { "index.html": "other", "a.js": "other" });
    const preview = await deploy(
      "skew",
      { "index.html": "preview", "a.js": "preview" },
      { target: undefined },
    );
    const two = await deploy("skew", { "index.html": "page 2", "a.js": "script 2" });
    expect(await text("skew.localhost", `/a.js?dpl=${one}`)).toBe("script 1");
    expect(await text("skew.localhost", "/a.js", { "x-deployment-id": one })).toBe("script 1");
    expect(await text("skew.localhost", "/a.js", { cookie: `__vdpl=${one}` })).toBe("script 1");
    const navigation = { cookie: `__vdpl=${one}`, "sec-fetch-dest": "document" };
    expect(await text("skew.localhost", "/", navigation)).toBe("page 2");
    for (const id of [two, other, preview, "dpl_unknown"])
      expect(await text("skew.localhost", `/a.js?dpl=${id}`)).toBe("script 2");
  });

  it("does not lead anybody to a release that was rolled back", async () => {
    const one = await deploy("skew-back", { "a.js": "good" });
    const two = await deploy("skew-back", { "a.js": "bad" });
    await call("POST", `/v1/projects/skew-back/rollback/${one}`, {});
    expect(await text("skew-back.localhost", `/a.js?dpl=${two}`)).toBe("good");
    const three = await deploy("skew-back", { "a.js": "better" }, { autoAssignCustomDomains: false });
    await call("POST", `/v10/projects/skew-back/promote/${three}`, {});
    expect(await text("skew-back.localhost", `/a.js?dpl=${two}`)).toBe("better");
    expect(await text("skew-back.localhost", `/a.js?dpl=${one}`)).toBe("good");
    await platform.restartDock();
    expect(await text("skew-back.localhost", `/a.js?dpl=${two}`)).toBe("better");
    expect(await text("skew-back.localhost", `/a.js?dpl=${one}`)).toBe("good");
  });

  it("is switched off by the project's field of Vercel's name", async () => {
    const one = await deploy("skew-off", { "a.js": "1" });
    const off = await call("PATCH", "/v9/projects/skew-off", { skewProtectionMaxAge: 0 });
    expect(off.body.skewProtectionMaxAge).toBe(0);
    await deploy("skew-off", { "a.js": "2" });
    expect(await text("skew-off.localhost", `/a.js?dpl=${one}`)).toBe("2");
    const wrong = await call("PATCH", "/v9/projects/skew-off", { skewProtectionMaxAge: -1 });
    expect(wrong.status).toBe(400);
  });
});

/** Answers `/slow` after a second, `/events` with an open stream, anything else with what it has begun so far. */
const SERVER = {
  "package.json": JSON.stringify({ name: "app", scripts: { start: "node server.js" } }),
  "server.js": `let begun = "";
  require("node:http").createServer((q, s) => {
    if (q.url === "/" || q.url === "/begun") return s.end(begun);
    begun += q.url;
    if (q.url === "/slow") return setTimeout(() => s.end("slow"), 1_000);
    s.writeHead(200, { "content-type": "text/event-stream" });
    s.write("data: hello\\n\\n");
  }).listen(3000)`,
};

describe("a hold", () => {
  it("is answered once what was under way has ended; open streams are told apart", async () => {
    await deploy("held", SERVER, { projectSettings: { installCommand: "" } });
    const host = "held.localhost";
    const begun = async (paths: string) => {
      while ((await text(host, "/begun")) !== paths);
    };
    // Open until its process ends.
    void platform.visit(host, "/events").catch(() => {});
    await begun("/events");
    let ended = 0;
    const slow = platform.visit(host, "/slow").then((answer) => {
      ended++;
      return answer;
    });
    await begun("/events/slow");
    const { body } = await call("POST", "/v1/projects/held/hold", { environment: "production" });
    expect(ended).toBe(1);
    expect(body).toMatchObject({ hosts: [host], inFlight: 0, streams: 1 });
    expect(await slow).toMatchObject({ status: 200, text: "slow" });
    const waiting = platform.visit(host, "/begun");
    const running = async () => (await call("GET", "/v1/projects/held/hold")).body;
    expect(await running()).toMatchObject({
      holds: [{ host, maxMs: 30_000, maxRequests: 1_000 }],
      inFlight: 0,
    });
    expect((await call("POST", "/v1/projects/held/unhold")).body).toEqual({ hosts: [host] });
    expect(await waiting).toMatchObject({ status: 200, text: "/events/slow" });
    expect((await running()).holds).toEqual([]);
    await call("DELETE", "/v9/projects/held");
  });

  it("goes on while the dock is away, and ends by itself although nobody lifts it", async () => {
    await deploy("held-alone", { "index.html": "served" });
    await call("POST", "/v1/projects/held-alone/hold", { environment: "production", maxMs: 1_500 });
    await platform.withoutDock(async () => {
      const held = platform.visit("held-alone.localhost");
      expect((await held).status).toBe(503);
      expect(await text("held-alone.localhost")).toBe("served");
    });
  });

  it("says what it cannot do", async () => {
    await deploy("held-mine", { "index.html": "mine" });
    await deploy("held-theirs", { "index.html": "theirs" });
    const hold = (body: object) => call("POST", "/v1/projects/held-mine/hold", body);
    expect((await hold({})).status).toBe(400);
    expect((await hold({ environment: "production", maxMs: 60_001 })).status).toBe(400);
    expect((await hold({ environment: "production", maxRequests: 10_001 })).status).toBe(400);
    expect((await hold({ environment: "moon" })).status).toBe(400);
    expect((await hold({ hosts: ["held-theirs.localhost"] })).status).toBe(409);
    expect((await hold({ hosts: ["nobody.localhost"] })).body).toMatchObject({ hosts: [], until: null });
    await platform.stopGateway();
    expect((await hold({ environment: "production" })).status).toBe(503);
    await platform.startGateway();
    expect((await call("GET", "/v1/projects/held-mine/hold")).body.holds).toEqual([]);
  });
});
