import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Vercel } from "@vercel/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockPlatform, startPlatform, TOKEN } from "../../../test/support/dock-platform.ts";
import { jumpingClock } from "../../../test/support/jumping-clock.ts";
import { systemClock } from "../../foundation/clock.ts";

const DAY_MS = 86_400_000;

const { clock, jump } = jumpingClock();
let platform: DockPlatform;
beforeAll(async () => {
  platform = await startPlatform(clock);
});
afterAll(() => platform.close());

async function deploy(text: string, more: object = {}): Promise<{ id: string; url: string }> {
  const body = JSON.stringify({ name: "site", files: [{ file: "index.html", data: text }], ...more });
  const answer = await platform.fetch("/v13/deployments", { method: "POST", body });
  const made = (await answer.json()) as { id: string; url: string };
  await (await platform.fetch(`/v3/deployments/${made.id}/events?follow=1`)).text();
  return made;
}
const isThere = (text: string) => {
  const sha1 = createHash("sha1").update(text).digest("hex");
  return existsSync(join(platform.options().dir, "store", sha1.slice(0, 2), sha1.slice(2)));
};
const textAt = async (url: string) => (await platform.visit(url)).text;
const ask = async (method: string, path: string, body?: object) => {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const answer = await platform.fetch(path, init);
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
};

it("a project says for how long its deployments are kept, in Vercel's words, and older ones go", async () => {
  const first = await deploy("production 1", { target: "production" });
  const production = [first];
  for (let i = 2; i <= 13; i++) production.push(await deploy(`production ${i}`, { target: "production" }));
  const aliased = await deploy("aliased");
  await ask("POST", `/v2/deployments/${aliased.id}/aliases`, { alias: "kept.localhost" });
  const preview = await deploy("preview");

  const path = "/v9/projects/site/deployment-expiration";
  expect(await ask("PATCH", path, { expirationDays: 1 })).toMatchObject({ status: 400 });
  expect(await ask("PATCH", path, {})).toMatchObject({ status: 400 });
  expect(await ask("PATCH", path, { expiration: "1w", expirationProduction: "1m" })).toMatchObject({
    status: 200,
    body: { deploymentExpiration: { expiration: "1w", expirationDays: 7, expirationDaysProduction: 30 } },
  });
  await ask("PATCH", path, { expirationErrored: "unlimited" });
  const sdk = new Vercel({ bearerToken: TOKEN, serverURL: platform.url });
  const { deploymentExpiration } = await sdk.projects.updateProject({
    idOrName: "site",
    requestBody: { directoryListing: false },
  });
  expect(deploymentExpiration).toEqual({
    expirationDays: 7,
    expirationDaysProduction: 30,
    expirationDaysErrored: 36_500,
  });

  // Eight days on the preview is over, and nothing else: one has a host, and production has a month.
  jump(8 * DAY_MS);
  while ((await platform.visit(preview.url)).status === 200) await systemClock.sleep(50);
  while (isThere("preview")) await systemClock.sleep(50);
  expect(await platform.visit(preview.url, "/", { accept: "application/json" })).toMatchObject({
    status: 410,
    text: expect.stringContaining("DEPLOYMENT_DELETED"),
  });
  const gone = await ask("GET", `/v13/deployments/${preview.id}`);
  expect(gone.body).toMatchObject({ softDeletedByRetention: true, deletedAt: expect.any(Number) });
  expect(await textAt("kept.localhost")).toBe("aliased");
  expect(await textAt(first.url)).toBe("production 1");

  // Two months on, of thirteen that served production ten are left.
  jump(60 * DAY_MS);
  while ((await platform.visit(first.url)).status === 200) await systemClock.sleep(50);
  const states = [];
  for (const { url } of production) states.push((await platform.visit(url)).status);
  expect(states).toEqual([410, 410, 410, ...Array.from({ length: 10 }, () => 200)]);
  expect(await textAt("site.localhost")).toBe("production 13");
  const before = production[3]?.id;
  expect(await ask("POST", `/v1/projects/site/rollback/${before}`)).toMatchObject({ status: 201 });
  expect(await textAt("site.localhost")).toBe("production 4");
  const refused = await ask("POST", `/v10/projects/site/promote/${first.id}`, {});
  expect(refused).toMatchObject({ status: 409 });
  // After the time in which that is said, the host is like any other that nobody has; after a restart too.
  expect((await platform.visit(preview.url)).status).toBe(404);
  await platform.restartDock();
  expect((await platform.visit(first.url)).status).toBe(410);
  expect((await platform.visit(preview.url)).status).toBe(404);
});
