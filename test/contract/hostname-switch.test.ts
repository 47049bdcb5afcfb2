import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CloudflareOptions } from "../../src/failover/index.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { createCloudflareSwitch } from "../../src/providers/hostname-switch/cloudflare.ts";
import { createWebhookSwitch } from "../../src/providers/hostname-switch/webhook.ts";
import { allowedTo } from "../support/allowed-networks.ts";
import {
  CLOUDFLARE_TOKEN,
  type CloudflareDouble,
  startCloudflareDouble,
} from "../support/cloudflare-double.ts";
import { hostnameSwitchContract } from "./hostname-switch.ts";

const HOST = "www.example.com";
const never = new AbortController().signal;

describe("at Cloudflare", () => {
  let double: CloudflareDouble;
  let zone: string;
  const options: CloudflareOptions = {
    kind: "cloudflare",
    zone: "example.com",
    primary: "cname.vercel-dns.com",
    standby: "edge.example.net",
    ttlS: 60,
    proxied: false,
  };
  const content = { primary: options.primary, standby: options.standby, elsewhere: "parked.example.org" };
  const made = (token: string | null = CLOUDFLARE_TOKEN) =>
    createCloudflareSwitch({ api: double.api, token });
  const put = (value: string, type = "CNAME") => {
    double.clear();
    double.addRecord(zone, { type, name: HOST, content: value });
  };
  beforeAll(async () => {
    double = await startCloudflareDouble();
    zone = double.addZone("example.com");
  });
  afterAll(() => double.close());
  beforeEach(() => double.clear());

  hostnameSwitchContract("cloudflare", () => ({
    implementation: made(),
    hostname: HOST,
    options,
    pointsTo() {
      const [found] = double.resolve(HOST);
      return found === options.primary ? "primary" : found === options.standby ? "standby" : null;
    },
    put: (side) => put(content[side]),
    changes: () => double.seen.filter(({ method }) => method !== "GET").length,
    fail: (how) => double.fail("PATCH", how),
  }));

  const read = (change: Partial<CloudflareOptions> = {}) =>
    made().read({ projectId: "prj_shop", hostname: HOST, options: { ...options, ...change } }, never);
  const point = (change: Partial<CloudflareOptions> = {}) => {
    const at = { projectId: "prj_shop", hostname: HOST, options: { ...options, ...change } };
    return made().point({ ...at, to: "standby", key: "fsw_1", sequence: 1, reason: "." }, never);
  };

  it("touches no record that points to neither side, nor one of several", async () => {
    put(content.elsewhere);
    expect(await read()).toEqual({ side: "elsewhere", detail: "CNAME parked.example.org" });
    await expect(point()).rejects.toMatchObject({ code: "conflict" });
    double.clear();
    const addresses = { primary: "192.0.2.1", standby: "192.0.2.9" };
    for (const address of ["192.0.2.1", "192.0.2.2"])
      double.addRecord(zone, { type: "A", name: HOST, content: address });
    await expect(point(addresses)).rejects.toMatchObject({ code: "conflict" });
    expect(double.resolve(HOST)).toEqual(["192.0.2.1", "192.0.2.2"]);
  });

  it("moves addresses as A and AAAA records, with the time to live that was asked for", async () => {
    put("192.0.2.1", "A");
    await point({ primary: "192.0.2.1", standby: "192.0.2.9", ttlS: 120 });
    expect(double.seen.at(-1)?.body).toMatchObject({
      type: "A",
      content: "192.0.2.9",
      ttl: 120,
      proxied: false,
    });
    put("2001:db8::1", "AAAA");
    await point({ primary: "2001:db8::1", standby: "2001:db8::9", proxied: true });
    expect(double.seen.at(-1)?.body).toMatchObject({ type: "AAAA", ttl: 1, proxied: true });
  });

  it("takes a zone by its id, and says which one it cannot see", async () => {
    put(options.primary);
    expect(await read({ zone })).toMatchObject({ side: "primary" });
    await expect(read({ zone: "other.example" })).rejects.toMatchObject({
      code: "unprocessable",
      message: "The Cloudflare token sees no zone other.example.",
    });
  });

  it("tells a token that is missing, wrong, or never shows it", async () => {
    const at = { projectId: "prj_shop", hostname: HOST, options };
    await expect(made(null).read(at, never)).rejects.toMatchObject({ code: "unprocessable" });
    const refused = await made("a-wrong-token")
      .read(at, never)
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "unprocessable", message: expect.stringContaining("10000") });
    expect(JSON.stringify(refused)).not.toContain("a-wrong-token");
  });
});

describe("by a webhook", () => {
  const secret = "whsec_c2lnbmFsYm94LXRlc3Qtc2VjcmV0";
  let server: Server;
  let url: string;
  let serving: "primary" | "standby" | null = "primary";
  let failure: number | "answer lost" | null = null;
  let reads = 200;
  const posts: { id: string; body: string; verified: boolean }[] = [];
  const done = new Set<string>();

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const body = await text(request);
      const header = (name: string) => String(request.headers[name]);
      const signed = `${header("webhook-id")}.${header("webhook-timestamp")}.${body}`;
      const key = Buffer.from(secret.slice("whsec_".length), "base64");
      const expected = `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
      const verified = header("webhook-signature") === expected;
      if (request.method === "GET") {
        response.writeHead(verified ? reads : 401);
        return void response.end(JSON.stringify({ serving }));
      }
      posts.push({ id: header("webhook-id"), body, verified });
      const fault = failure;
      failure = null;
      if (typeof fault === "number") return void response.writeHead(fault).end();
      // A receiver that keeps ids does nothing twice.
      if (!done.has(header("webhook-id"))) serving = JSON.parse(body).to;
      done.add(header("webhook-id"));
      if (fault === "answer lost") return void request.socket.destroy();
      response.writeHead(204).end();
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/dns`;
  });
  afterAll(() => new Promise((closed) => server.close(closed)));
  beforeEach(() => {
    posts.length = 0;
    done.clear();
    failure = null;
    reads = 200;
  });

  const networksOf = allowedTo({ prj_shop: ["127.0.0.0/8"] });
  const made = (change: Partial<Parameters<typeof createWebhookSwitch>[1]> = {}) =>
    createWebhookSwitch({ clock: systemClock }, { secret, networksOf, ...change });
  const place = (projectId = "prj_shop") => ({
    projectId,
    hostname: HOST,
    options: { kind: "webhook" as const, url },
  });

  hostnameSwitchContract("webhook", () => ({
    implementation: made(),
    ...place(),
    pointsTo: () => serving,
    put: (side) => {
      serving = side === "elsewhere" ? null : side;
    },
    changes: () => done.size,
    fail: (how) => {
      failure = how;
    },
  }));

  it("is signed as Standard Webhooks are, and says all that a receiver needs", async () => {
    await made().point({ ...place(), to: "standby", key: "fsw_7", sequence: 42, reason: "away" }, never);
    expect(posts).toEqual([{ id: "fsw_7", verified: true, body: expect.any(String) }]);
    expect(JSON.parse(posts[0]?.body ?? "")).toEqual({
      type: "failover.switch",
      hostname: HOST,
      to: "standby",
      key: "fsw_7",
      sequence: 42,
      reason: "away",
    });
  });

  it.each([404, 405, 501])("cannot tell where the hostname points when it answers %i", async (status) => {
    reads = status;
    expect(await made().read(place(), never)).toBe("unsupported");
  });

  it("is called neither unsigned nor in a private network of another project", async () => {
    await expect(made({ secret: null }).read(place(), never)).rejects.toMatchObject({
      code: "unprocessable",
    });
    const refusal = { code: "bad_request", hint: expect.stringContaining("signalbox network allow") };
    const change = { to: "standby", key: "fsw_1", sequence: 1, reason: "." } as const;
    await expect(made().read(place("prj_blog"), never)).rejects.toMatchObject(refusal);
    await expect(made().point({ ...place("prj_blog"), ...change }, never)).rejects.toMatchObject(refusal);
    expect(posts).toEqual([]);
    await made().point({ ...place(), ...change }, never);
    expect(posts).toHaveLength(1);
  });
});
