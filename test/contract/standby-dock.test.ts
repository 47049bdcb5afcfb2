import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/foundation/clock.ts";
import { createVercelVariables } from "../../src/providers/primary-variables/vercel.ts";
import { createDockStandby } from "../../src/providers/standby/dock.ts";
import { until } from "../support/app-stand.ts";
import { type DockPlatform, startPlatform, TOKEN } from "../support/dock-platform.ts";

/** What failover asks of a dock beside what every target does, on a real one. */
let dock: DockPlatform;
beforeAll(async () => {
  dock = await startPlatform();
});
afterAll(() => dock.close());

const never = new AbortController().signal;
const options = () =>
  ({
    api: dock.url,
    token: TOKEN,
    team: null,
    domain: "localhost",
    publicScheme: "http",
    publicPort: dock.gatewayPort,
  }) as const;

it("a staged release answers at any host that is pointed to it, and is nobody's production", async () => {
  const standby = createDockStandby({ clock: systemClock }, options());
  const { targetProjectId } = await standby.ensureProject("shop", never);
  const page = "<h1>standby</h1>";
  const sha1 = createHash("sha1").update(page).digest("hex");
  await standby.upload({ sha1, size: page.length, body: Readable.from([page]) }, never);
  const place = { targetProjectId, project: "shop", environment: "production", branch: null } as const;
  const files = [{ path: "index.html", sha1, size: page.length, mode: 0o644 }];
  const commit = { sha: null, message: null, dirty: false };
  const build = { ...place, key: "standby:dep_1:1:app", files, settings: {}, env: {}, commit, force: false };
  const answer = await standby.build(build, never);
  if (answer.kind !== "accepted") throw new Error("a file is missing");
  expect(await standby.build(build, never)).toEqual(answer);
  const id = answer.targetDeploymentId;
  await until(async () => (await standby.observe(id, never)).state === "ready");
  for (const host of [standby.standbyHost("shop"), "www.shop.test", "www.shop.test"]) {
    await standby.assignHost(host, id, never);
    expect(await dock.visit(host)).toMatchObject({ status: 200, text: page });
  }
  expect((await dock.visit("shop.localhost")).status).toBe(404);
  expect(["done", "unsupported"]).toContain(await standby.setCrons(targetProjectId, false, never));
});

it("the primary's variables are told by name, and those that are sensitive without a value", async () => {
  const variables = createVercelVariables({ clock: systemClock }, options());
  const { targetProjectId } = await createDockStandby({ clock: systemClock }, options()).ensureProject(
    "env",
    never,
  );
  const body = JSON.stringify([
    { key: "PLAIN", value: "1", type: "plain", target: ["production", "preview"] },
    { key: "SEALED", value: "2", type: "encrypted", target: ["production"] },
    { key: "HIDDEN", value: "3", type: "sensitive", target: ["production"] },
    { key: "ELSEWHERE", value: "4", type: "plain", target: ["preview"] },
  ]);
  const headers = { "content-type": "application/json" };
  const made = await dock.fetch(`/v10/projects/${targetProjectId}/env`, { method: "POST", body, headers });
  expect(made.status).toBe(201);
  const found = await variables(targetProjectId, never);
  expect([...found].sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual([
    { key: "HIDDEN", value: null },
    { key: "PLAIN", value: "1" },
    { key: "SEALED", value: "2" },
  ]);
});
