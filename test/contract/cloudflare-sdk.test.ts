import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createCloudflareSwitch } from "../../src/providers/hostname-switch/cloudflare.ts";
import {
  CLOUDFLARE_TOKEN,
  type CloudflareDouble,
  startCloudflareDouble,
} from "../support/cloudflare-double.ts";

/** The double is only worth something where Cloudflare's own SDK cannot tell it from Cloudflare. */
const PACKAGE = resolve(import.meta.dirname, "../cloudflare-sdk");
// biome-ignore lint/suspicious/noExplicitAny: the package is not among ours, and so has no types here
let Cloudflare: any;
// biome-ignore lint/suspicious/noExplicitAny: as above
let client: any;
let double: CloudflareDouble;
let zone: string;

const HOST = "www.example.com";
const never = new AbortController().signal;
const options = {
  kind: "cloudflare",
  zone: "example.com",
  primary: "cname.vercel-dns.com",
  standby: "edge.example.net",
  ttlS: 60,
  proxied: false,
} as const;

beforeAll(async () => {
  const entry = join(PACKAGE, "node_modules/cloudflare/index.mjs");
  if (!existsSync(entry)) {
    execFileSync("npm", ["ci", "--no-audit", "--no-fund"], {
      cwd: PACKAGE,
      stdio: "ignore",
      timeout: 100_000,
    });
  }
  ({ default: Cloudflare } = await import(pathToFileURL(entry).href));
  double = await startCloudflareDouble();
  zone = double.addZone("example.com");
  client = new Cloudflare({ apiToken: CLOUDFLARE_TOKEN, baseURL: double.api, maxRetries: 0 });
});
afterAll(() => double?.close());

it("the SDK finds the zone, makes a record, changes it, lists it and removes it", async () => {
  const zones = await client.zones.list({ name: "example.com" });
  expect(zones.result).toMatchObject([{ id: zone, name: "example.com" }]);
  const record = { zone_id: zone, type: "CNAME", name: HOST, content: options.primary, ttl: 60 };
  const made = await client.dns.records.create(record);
  expect(made).toMatchObject({ name: HOST, content: options.primary, ttl: 60, proxied: false });
  const edited = await client.dns.records.edit(made.id, { ...record, content: options.standby });
  expect(edited).toMatchObject({ id: made.id, content: options.standby });
  const found = [];
  for await (const one of client.dns.records.list({ zone_id: zone, name: { exact: HOST } })) found.push(one);
  expect(found).toMatchObject([{ id: made.id, content: options.standby }]);
  expect(await client.dns.records.get(made.id, { zone_id: zone })).toMatchObject({ id: made.id });
  await client.dns.records.delete(made.id, { zone_id: zone });
  expect(double.resolve(HOST)).toEqual([]);
});

it("the SDK reads what our switch has done, and ours what the SDK has done", async () => {
  const record = { zone_id: zone, type: "CNAME", name: HOST, content: options.primary, ttl: 60 };
  const { id } = await client.dns.records.create(record);
  const ours = createCloudflareSwitch({ api: double.api, token: CLOUDFLARE_TOKEN });
  const at = { projectId: "prj_shop", hostname: HOST, options };
  expect(await ours.read(at, never)).toMatchObject({ side: "primary" });
  await ours.point({ ...at, to: "standby", key: "fsw_1", sequence: 1, reason: "." }, never);
  expect(await client.dns.records.get(id, { zone_id: zone })).toMatchObject({
    content: options.standby,
    ttl: 60,
    comment: "Moved to the standby by Signalbox (fsw_1)",
  });
  await client.dns.records.edit(id, record);
  expect(await ours.read(at, never)).toMatchObject({ side: "primary" });
});

it("the SDK understands its refusals", async () => {
  const stranger = new Cloudflare({ apiToken: "another", baseURL: double.api, maxRetries: 0 });
  await expect(stranger.zones.list()).rejects.toMatchObject({ status: 403, errors: [{ code: 10000 }] });
  const second = { zone_id: zone, type: "A", name: HOST, content: "192.0.2.1", ttl: 60 };
  await expect(client.dns.records.create(second)).rejects.toMatchObject({
    status: 400,
    errors: [{ code: 81053 }],
  });
  await expect(client.dns.records.get("0".repeat(32), { zone_id: zone })).rejects.toMatchObject({
    status: 404,
  });
});
