import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockPlatform, startPlatform } from "../../../test/support/dock-platform.ts";
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
function fileOf(text: string): string {
  const sha1 = createHash("sha1").update(text).digest("hex");
  return join(platform.options().dir, "store", sha1.slice(0, 2), sha1.slice(2));
}
const textAt = async (url: string) => (await platform.visit(url)).text;

it("a month later the files of old previews are gone, and everything that is retained still serves", async () => {
  const wasProduction = await deploy("production 1", { target: "production" });
  const live = await deploy("production 2", { target: "production" });
  // Staged ones, more than are kept by their number: what was live stays all the same.
  const staged = { target: "production", autoAssignCustomDomains: false };
  for (let i = 0; i < 20; i++) await deploy(`staged ${i}`, staged);
  const aliased = await deploy("aliased");
  await platform.fetch(`/v2/deployments/${aliased.id}/aliases`, {
    method: "POST",
    body: JSON.stringify({ alias: "kept.localhost" }),
  });
  const old = await deploy("old");
  const newer = [];
  for (let i = 0; i < 20; i++) newer.push(await deploy(`newer ${i}`));
  expect(await textAt(old.url)).toBe("old");
  expect(existsSync(fileOf("old"))).toBe(true);

  jump(30 * DAY_MS);
  while ((await platform.visit(old.url)).status === 200) await systemClock.sleep(50);
  while (existsSync(fileOf("old"))) await systemClock.sleep(50);
  const files = async () =>
    (
      await platform.pool.query(
        "select count(*)::int as n from dock.deployments where collected_at is not null",
      )
    ).rows;
  expect(await files()).toEqual([{ n: 1 }]);
  expect(await textAt("site.localhost")).toBe("production 2");
  expect(await textAt(wasProduction.url)).toBe("production 1");
  expect(await textAt("kept.localhost")).toBe("aliased");
  for (const [i, { url }] of newer.entries()) expect(await textAt(url)).toBe(`newer ${i}`);
  const rollback = await platform.fetch(`/v1/projects/site/rollback/${wasProduction.id}`, { method: "POST" });
  expect(rollback.status).toBe(201);
  expect(await textAt("site.localhost")).toBe("production 1");
  const promote = await platform.fetch(`/v10/projects/site/promote/${old.id}`, { method: "POST" });
  expect(promote.status).toBe(409);
  expect(JSON.stringify(await promote.json())).toContain("were removed");
  const retired = await platform.fetch(`/v13/deployments/${live.id}`, { method: "DELETE" });
  expect(retired.status).toBe(200);
  expect((await platform.visit(live.url)).status).toBe(404);
});
