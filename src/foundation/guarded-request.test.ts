import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import http, { type IncomingMessage, type RequestListener } from "node:http";
import net, { type AddressInfo } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { isBlockedPort, requireHttpPort } from "./blocked-ports.ts";
import { guardedRequest } from "./guarded-request.ts";
import { isPublicAddress } from "./safe-fetch.ts";

/** This address is allowed; the canary's, on the same port of other loopback addresses, is not. */
const OPEN = "127.0.0.9";
const POLICY = { allowNetworks: [`${OPEN}/32`] };
const signal = new AbortController().signal;

let canaries: net.Server[] = [];
let touched = 0;
let port = 0;
let answerer: http.Server;
let answer: RequestListener;
const seen: IncomingMessage[] = [];

beforeAll(async () => {
  answerer = http.createServer((req, res) => {
    seen.push(req);
    answer(req, res);
  });
  answerer.listen(0, OPEN);
  await once(answerer, "listening");
  port = (answerer.address() as AddressInfo).port;
  canaries = await Promise.all(
    ["127.0.0.1", "::1"].map(async (host) => {
      const canary = net.createServer((socket) => {
        touched++;
        socket.destroy();
      });
      canary.listen(port, host);
      await once(canary, "listening");
      return canary;
    }),
  );
});
afterAll(() => {
  for (const server of [...canaries, answerer]) server.close();
});

function get(url: string, more: Partial<Parameters<typeof guardedRequest>[0]> = {}) {
  return guardedRequest({ url, deadlineMs: 5_000, maxBytes: 1_000, ...more }, POLICY, signal);
}

const ok: RequestListener = (_req, res) => void res.end("fine");
const to =
  (location: string, status = 302): RequestListener =>
  (_req, res) =>
    void res.writeHead(status, { location: Buffer.from(location).toString("latin1") }).end();

describe("a guarded request", () => {
  it("keeps its caps: bytes, time, redirects", async () => {
    answer = (_req, res) => void res.end("x".repeat(1_001));
    await expect(get(`http://${OPEN}:${port}/`)).rejects.toMatchObject({ details: { class: "too_large" } });
    answer = () => {};
    await expect(get(`http://${OPEN}:${port}/`, { deadlineMs: 50 })).rejects.toMatchObject({
      name: "TimeoutError",
    });
    answer = to("/again");
    expect((await get(`http://${OPEN}:${port}/`)).status).toBe(302);
    seen.length = 0;
    const circle = get(`http://${OPEN}:${port}/`, { redirects: 50 });
    await expect(circle).rejects.toMatchObject({ details: { class: "redirects" } });
    expect(seen).toHaveLength(11);
  });

  it("gives nothing but harmless headers to another origin, and no body", async () => {
    const headers = { authorization: "Bearer s", "x-api-key": "s", cookie: "s=1", accept: "text/plain" };
    const resolve = async () => [OPEN];
    answer = (req, res) => (req.url === "/" ? to(`http://other.example:${port}/x`)(req, res) : ok(req, res));
    seen.length = 0;
    const { url } = await get(`http://${OPEN}:${port}/`, { headers, redirects: 1, resolve });
    expect(url).toBe(`http://other.example:${port}/x`);
    expect(seen[0]?.headers).toMatchObject(headers);
    expect(seen[1]?.headers).toMatchObject({ accept: "text/plain", "user-agent": "signalbox" });
    for (const name of ["authorization", "x-api-key", "cookie"])
      expect(seen[1]?.headers).not.toHaveProperty(name);
    answer = to(`http://other.example:${port}/x`, 307);
    const posted = get(`http://${OPEN}:${port}/`, { method: "POST", body: "secret", redirects: 1, resolve });
    await expect(posted).rejects.toMatchObject({ details: { class: "redirects" } });
  });

  it("follows within an origin as browsers do: 303 is a GET without a body, 307 the same again", async () => {
    for (const [status, method] of [
      [303, "GET"],
      [302, "GET"],
      [307, "POST"],
    ] as const) {
      answer = (req, res) => (req.url === "/" ? to("/next", status)(req, res) : ok(req, res));
      seen.length = 0;
      await get(`http://${OPEN}:${port}/`, { method: "POST", body: "b", redirects: 1 });
      expect(seen.map((req) => req.method)).toEqual(["POST", method]);
    }
  });

  it.each(["file:///etc/passwd", "ftp://1.1.1.1/", "gopher://1.1.1.1/"])("does not go to %s", async (url) => {
    await expect(get(url)).rejects.toMatchObject({ code: "bad_request" });
    answer = to(url);
    await expect(get(`http://${OPEN}:${port}/`, { redirects: 1 })).rejects.toMatchObject({
      code: "bad_request",
    });
  });

  it("speaks HTTP to no port of another protocol, unless it is allowed by its number", async () => {
    for (const blocked of [22, 25, 6000, 6667])
      await expect(get(`http://${OPEN}:${blocked}/`)).rejects.toMatchObject({ class: "blocked" });
    expect(() => requireHttpPort("x", 25, { allowNetworks: [], allowPorts: [25] })).not.toThrow();
    expect([80, 443, 3000, 5432, 8080].filter(isBlockedPort)).toEqual([]);
  });
});

/** All that is special by the IANA registries, as networks to draw addresses from. */
const RANGES_V4: readonly (readonly [string, number])[] = [
  ...([
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
  ] as const),
  ...([
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.0.2.0", 24],
    ["192.88.99.0", 24],
  ] as const),
  ...([
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["198.51.100.0", 24],
    ["203.0.113.0", 24],
  ] as const),
  ...([
    ["224.0.0.0", 4],
    ["240.0.0.0", 4],
    ["127.0.0.1", 32],
    ["169.254.169.254", 32],
  ] as const),
  ...([
    ["168.63.129.16", 32],
    ["100.100.100.200", 32],
  ] as const),
];
const RANGES_V6 = ["::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "100::1"];

const specialV4 = fc
  .tuple(fc.constantFrom(...RANGES_V4), fc.nat(0xffff_ffff))
  .map(([[base, bits], noise]) => {
    const start = base.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
    return start + (noise % 2 ** (32 - bits));
  })
  .filter((number) => number !== 0x7f_00_00_09);

/** Every way to write an IPv4 address that some resolver or parser takes, and every IPv6 form that reaches it. */
const FORMS: readonly ((n: number) => string)[] = [
  (n) => quad(n),
  (n) => `${n}`,
  (n) => `0x${n.toString(16)}`,
  (n) => `0${n.toString(8)}`,
  (n) => `${n >>> 24}.${n & 0xffffff}`,
  (n) => `${n >>> 24}.${(n >>> 16) & 255}.${n & 0xffff}`,
  (n) =>
    parts(n)
      .map((part) => `0x${part.toString(16)}`)
      .join("."),
  (n) =>
    parts(n)
      .map((part) => `0${part.toString(8)}`)
      .join("."),
  (n) => quad(n).replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
  (n) => `${quad(n)}.`,
  (n) => `[::ffff:${quad(n)}]`,
  (n) => `[::ffff:${hex(n)}]`,
  (n) => `[0:0:0:0:0:FFFF:${hex(n)}]`,
  (n) => `[::${hex(n)}]`,
  (n) => `[64:ff9b::${hex(n)}]`,
  (n) => `[64:ff9b:1::${hex(n)}]`,
  (n) => `[2002:${hex(n)}::1]`,
  (n) => `[2001:0:102:304::${hex(~n >>> 0)}]`,
];
const special = fc.oneof(
  fc.tuple(specialV4, fc.constantFrom(...FORMS)).map(([n, form]) => form(n)),
  fc.constantFrom(...RANGES_V6).map((address) => `[${address}]`),
);

function parts(n: number): number[] {
  return [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
}
function quad(n: number): string {
  return parts(n).join(".");
}
function hex(n: number): string {
  return `${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}`;
}

describe("no address of this machine or its network is reached", () => {
  it("whatever it is, however it is written, however deep in redirects", async () => {
    await fc.assert(
      fc.asyncProperty(special, fc.nat(3), async (host, depth) => {
        answer = (req, res) => {
          const left = Number(req.url?.slice(1));
          to(left > 1 ? `/${left - 1}` : `http://${host}:${port}/`)(req, res);
        };
        const url = depth === 0 ? `http://${host}:${port}/` : `http://${OPEN}:${port}/${depth}`;
        await expect(get(url, { redirects: 10 })).rejects.toMatchObject({ class: expect.anything() });
      }),
      { numRuns: 200 },
    );
    expect(touched).toBe(0);
  });

  it("whatever mix of A and AAAA a name has, in whatever order", async () => {
    const bad = fc.oneof(specialV4.map(quad), fc.constantFrom(...RANGES_V6));
    const good = fc.constantFrom<string>("1.1.1.1", "2606:4700:4700::1111", OPEN);
    await fc.assert(
      fc.asyncProperty(fc.array(good, { maxLength: 3 }), bad, fc.nat(3), async (others, one, at) => {
        expect(isPublicAddress(one)).toBe(false);
        const resolve = async () => others.toSpliced(at, 0, one);
        await expect(get(`http://mixed.example:${port}/`, { resolve })).rejects.toMatchObject({
          class: "blocked",
        });
      }),
      { numRuns: 200 },
    );
    expect(touched).toBe(0);
  });

  it("though a name server of rebinding answers otherwise each time, with a lifetime of 0", async () => {
    const { server, resolver, asked } = await rebinding([OPEN, "127.0.0.1"]);
    onTestFinished(() => void server.close());
    const resolve = (name: string) => resolver.resolve4(name);
    answer = ok;
    const results: string[] = [];
    for (let turn = 0; turn < 20; turn++) {
      const got = await get(`http://rebind.example:${port}/`, { resolve }).catch((error) => error);
      results.push("text" in got ? got.text : got.class);
    }
    expect(results).toEqual(Array.from({ length: 20 }, (_, turn) => (turn % 2 === 0 ? "fine" : "blocked")));
    expect(asked()).toBe(20);
    expect(touched).toBe(0);
  });
});

/** Answers A questions with the addresses in turn. Source: RFC 1035, 4. */
async function rebinding(addresses: readonly string[]) {
  let asked = 0;
  const server = createSocket("udp4", (question, from) => {
    const address = addresses[asked++ % addresses.length] as string;
    const name = question.subarray(12, question.indexOf(0, 12) + 5);
    const header = Buffer.concat([question.subarray(0, 2), Buffer.from("81800001000100000000", "hex")]);
    const record = Buffer.from("c00c00010001000000000004", "hex");
    const data = Buffer.from(address.split(".").map(Number));
    server.send(Buffer.concat([header, name, record, data]), from.port, from.address);
  });
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  const resolver = new Resolver({ timeout: 2_000 });
  resolver.setServers([`127.0.0.1:${server.address().port}`]);
  return { server, resolver, asked: () => asked };
}
