import { createServer } from "node:net";
import { expect, test } from "vitest";
import type { FailureClass, Round } from "../checks/index.ts";
import { systemClock } from "../foundation/clock.ts";
import { isLocalHost, parseCanaries, watchConnectivity } from "./connectivity.ts";
import { createMassRule } from "./mass-rule.ts";
import { createTrust } from "./trust.ts";

function failed(failure: FailureClass): Round {
  const attempt = {
    status: "down" as const,
    failure: { class: failure, message: "-" },
    startedAt: 0,
    latencyMs: 1,
  };
  const base = { checkId: "chk_1", location: "local", scheduledAt: 0, startedAt: 0, lateMs: 0, endedAt: 1 };
  return { ...base, attempts: [attempt], untrusted: null };
}

const of = (host: string) => ({ host, wasDown: false, intervalMs: 10_000 });

function trustWith(online: boolean | null) {
  const connectivity = { online: async () => online, last: () => online, close() {} };
  return createTrust({ clock: systemClock, connectivity, mass: createMassRule() });
}

test.each([
  {
    what: "a timeout while no canary answers",
    host: "db.example.com",
    failure: "timeout",
    online: false,
    says: "offline",
  },
  { what: "a timeout while one does", host: "db.example.com", failure: "timeout", online: true, says: null },
  {
    what: "a refusal, which came over a network that works",
    host: "db.example.com",
    failure: "refused",
    online: false,
    says: null,
  },
  { what: "a wrong status", host: "db.example.com", failure: "status", online: false, says: null },
  { what: "a timeout of our own machine", host: "127.0.0.1", failure: "timeout", online: false, says: null },
  {
    what: "a timeout where there are no canaries",
    host: "db.example.com",
    failure: "timeout",
    online: null,
    says: null,
  },
] as const)("$what: $says", async ({ host, failure, online, says }) => {
  expect((await trustWith(online).weigh(failed(failure), of(host))).untrusted).toBe(says);
});

test("without canaries, most of what is unrelated failing at once is our own network", async () => {
  const trust = trustWith(null);
  const says = [];
  for (let n = 0; n < 6; n++)
    says.push((await trust.weigh(failed("unreachable"), of(`h${n}.example.com`))).untrusted);
  expect(says).toEqual([null, null, null, null, "offline", "offline"]);
});

test("the mass rule believes what lasts, what was down before, and a few of many", () => {
  const fail = { failure: "timeout" as const, windowMs: 10_000 };
  const lasting = createMassRule();
  const believed = [];
  for (let now = 0; now <= 140_000; now += 10_000) {
    let untrusted = 0;
    for (let n = 0; n < 6; n++)
      if (lasting.seen({ host: `h${n}`, wasUp: now === 0, now, ...fail })) untrusted++;
    if (untrusted === 0) believed.push(now);
  }
  expect(believed).toEqual([130_000, 140_000]);

  const before = createMassRule();
  for (let n = 0; n < 9; n++)
    expect(before.seen({ host: `h${n}`, wasUp: false, now: 0, ...fail })).toBe(false);

  const few = createMassRule();
  for (let n = 0; n < 20; n++)
    few.seen({ host: `up${n}`, wasUp: true, failure: null, now: 0, windowMs: 10_000 });
  for (let n = 0; n < 8; n++) expect(few.seen({ host: `h${n}`, wasUp: true, now: 1, ...fail })).toBe(false);
});

test("our own machine needs no network", () => {
  for (const host of [
    null,
    "/run/x.sock",
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "[::1]",
    "localhost",
    "shop.localhost",
  ])
    expect(isLocalHost(host), String(host)).toBe(true);
  for (const host of ["10.0.0.1", "example.com", "127.example.com", "::2", "localhost.example.com"])
    expect(isLocalHost(host), host).toBe(false);
});

test("canaries are addresses or host:port, and at least two", () => {
  expect(parseCanaries([])).toEqual([]);
  expect(parseCanaries(["https://a.example", "1.1.1.1:53", "[2001:db8::1]:443"])).toEqual([
    { host: "a.example", port: 443 },
    { host: "1.1.1.1", port: 53 },
    { host: "2001:db8::1", port: 443 },
  ]);
  expect(() => parseCanaries(["https://a.example"])).toThrow("One canary alone");
  expect(() => parseCanaries(["nonsense", "1.1.1.1:53"])).toThrow('"nonsense" is no canary');
});

test("one canary is enough; none, after one did answer, is being cut off; none ever is no knowledge", async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  // Nobody listens there: it is the port of a server that has gone.
  const canaries = [
    { host: "127.0.0.1", port: 1 },
    { host: "127.0.0.1", port },
  ];
  const known = watchConnectivity({ clock: systemClock }, canaries);
  expect(await known.online(systemClock.monotonicMs())).toBe(true);
  await new Promise((resolve) => server.close(resolve));
  expect(await known.online(systemClock.monotonicMs())).toBe(false);
  expect(known.last()).toBe(false);
  known.close();
  const never = watchConnectivity({ clock: systemClock }, canaries);
  expect(await never.online(systemClock.monotonicMs())).toBeNull();
  never.close();
});
