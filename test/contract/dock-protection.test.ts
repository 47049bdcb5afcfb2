import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { systemClock } from "../../src/foundation/clock.ts";
import { createProbe } from "../../src/providers/probe/http.ts";
import { createVercelTarget } from "../../src/providers/target/vercel.ts";
import { until } from "../support/app-stand.ts";
import { type DockPlatform, startPlatform, TOKEN } from "../support/dock-platform.ts";

let dock: DockPlatform;
beforeAll(async () => {
  dock = await startPlatform();
});
afterAll(() => dock.close());

const never = new AbortController().signal;

it("a project that is protected at the dock is proven with its bypass secret; without, it is protected", async () => {
  const where = { domain: "localhost", publicScheme: "http", publicPort: dock.gatewayPort } as const;
  const target = createVercelTarget(
    { clock: systemClock },
    { api: dock.url, token: TOKEN, team: null, ...where },
  );
  const { targetProjectId } = await target.ensureProject("walled", never);
  const answer = await dock.fetch(`/v9/projects/${targetProjectId}`, {
    method: "PATCH",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ssoProtection: { deploymentType: "all" } }),
  });
  expect(answer.status).toBe(200);
  const page = "<h1>walled</h1>";
  const sha1 = createHash("sha1").update(page).digest("hex");
  await target.upload({ sha1, size: page.length, body: Readable.from([page]) }, never);
  const place = { targetProjectId, project: "walled", environment: "production", branch: null } as const;
  const files = [{ path: "index.html", sha1, size: page.length, mode: 0o644 }];
  const commit = { sha: null, message: null, dirty: false };
  const built = await target.build(
    { ...place, key: "walled:1", files, settings: {}, env: {}, commit, force: false },
    never,
  );
  const id = built.kind === "accepted" ? built.targetDeploymentId : "";
  await until(async () => (await target.observe(id, never)).state === "ready");
  const { url } = await target.observe(id, never);
  const probe = createProbe({ clock: systemClock });
  const asked = { type: "http", url, timeoutMs: 10_000 } as const;
  expect(await probe(asked)).toMatchObject({ ok: false, status: 401, protected: true });
  const headers = await target.probeHeaders(place, never);
  expect(await probe({ ...asked, headers })).toMatchObject({ ok: true, status: 200 });
});
