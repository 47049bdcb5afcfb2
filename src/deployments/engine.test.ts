import { afterAll, beforeAll, expect, test } from "vitest";
import {
  engineStand,
  makeProject,
  reached,
  type Stand,
  ship,
  trigger,
} from "../../test/scenarios/engine-stand.ts";
import { systemClock } from "../foundation/clock.ts";
import { silentLog } from "../foundation/log.ts";
import { LEASE_MS } from "./change.ts";
import { followLogs, MAX_LINES } from "./follow-logs.ts";
import { createLedger } from "./ledger-postgres.ts";
import { createStore } from "./store.ts";

let stand: Stand;
beforeAll(async () => {
  stand = await engineStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

type Event = { event: string; id: string | undefined; data: Record<string, unknown> };

async function readEvents(id: string, headers: Record<string, string> = {}): Promise<Event[]> {
  const response = await stand.http(stand.as.viewer).raw(`/status/${id}`, {
    headers: { accept: "text/event-stream", ...headers },
  });
  const blocks = (await response.text()).split("\n\n").filter((block) => block.startsWith("event:"));
  return blocks.map((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
    return { event: field("event") ?? "", id: field("id"), data: JSON.parse(field("data") ?? "{}") };
  });
}

test("the event stream follows a deployment to its end: every line once, in order, then done", async () => {
  stand.target.behaviour.log = ["one", "two", "three"];
  const id = await trigger(stand);
  const events = await readEvents(id);
  const lines = events.filter(({ event }) => event === "log");
  expect(lines.map(({ id: seq, data }) => [seq, data.text])).toEqual([
    ["1", "one"],
    ["2", "two"],
    ["3", "three"],
  ]);
  expect(events.filter(({ event }) => event === "deployment").length).toBeGreaterThan(0);
  expect(events.at(-1)).toMatchObject({ event: "done", data: { id, state: "live" } });
});

test("a reader that comes back with Last-Event-ID gets only what it has not seen", async () => {
  stand.target.behaviour.log = ["one", "two", "three"];
  const { id } = await ship(stand);
  await readEvents(id);
  const again = await readEvents(id, { "last-event-id": "2" });
  expect(again.filter(({ event }) => event === "log").map(({ data }) => data.text)).toEqual(["three"]);
  expect(again.at(-1)?.event).toBe("done");
});

test("an unknown deployment is a 404, not a stream", async () => {
  const headers = { accept: "text/event-stream" };
  expect((await stand.http(stand.as.viewer).raw("/status/dep_none", { headers })).status).toBe(404);
});

test("status as JSON pages through the log by nextLog", async () => {
  stand.target.behaviour.log = ["one", "two"];
  const { id } = await ship(stand);
  await readEvents(id);
  const api = stand.http(stand.as.viewer);
  const { body } = await api.get(`/status/${id}?after=1`);
  expect([body.logs.map((line: { text: string }) => line.text), body.nextLog]).toEqual([["two"], 2]);
  expect((await api.get(`/status/${id}?after=2`)).body).toMatchObject({ logs: [], nextLog: 2 });
});

const follow = (deps: { logs: Parameters<typeof followLogs>[0]["target"]["logs"] }, id: string) =>
  followLogs(
    { db: stand.db, clock: systemClock, log: silentLog, target: deps },
    id,
    [{ service: "app", targetDeploymentId: "dpl_x" }],
    new AbortController().signal,
  );
const textsOf = async (id: string) =>
  (
    await stand.db
      .selectFrom("deployment_logs")
      .select("text")
      .where("deployment_id", "=", id)
      .orderBy("seq")
      .execute()
  ).map((row) => row.text);
const line = (text: string) => ({ at: new Date(0), stream: "stdout", text }) as const;

async function idWithoutLog(): Promise<string> {
  stand.target.behaviour.log = [];
  return (await ship(stand)).id;
}

test("a log that breaks off is read on, and two copiers at once make no duplicate", async () => {
  const id = await idWithoutLog();
  let calls = 0;
  const logs = async function* () {
    calls += 1;
    yield line("a");
    yield line("b\u0000b");
    if (calls === 1) throw new Error("connection lost");
    yield line("c");
  };
  await Promise.all([follow({ logs }, id), follow({ logs }, id)]);
  expect(await textsOf(id)).toEqual(["a", "b\ufffdb", "c"]);
});

test("the logs of several services are one, each line with its service's name and none twice", async () => {
  const id = await idWithoutLog();
  const logs = async function* (release: string) {
    yield line(`${release} one`);
    yield line(`${release} two`);
  };
  const builds = [
    { service: "api", targetDeploymentId: "dpl_a" },
    { service: "web", targetDeploymentId: "dpl_w" },
  ];
  const deps = { db: stand.db, clock: systemClock, log: silentLog, target: { logs } };
  for (let copier = 0; copier < 2; copier++) await followLogs(deps, id, builds, new AbortController().signal);
  const { body } = await stand.http(stand.as.viewer).get(`/status/${id}`);
  const lines = body.logs.map(
    ({ service, text }: { service: string; text: string }) => `${service}: ${text}`,
  );
  expect(lines.toSorted()).toEqual(["api: dpl_a one", "api: dpl_a two", "web: dpl_w one", "web: dpl_w two"]);
});

test("an endless log is cut, and says so", async () => {
  const id = await idWithoutLog();
  const logs = async function* () {
    for (;;) yield line("x");
  };
  await follow({ logs }, id);
  const texts = await textsOf(id);
  expect(texts).toHaveLength(MAX_LINES);
  expect(texts.at(-1)).toContain("longer than what is kept");
});

test("a stale owner can do nothing: after its lease passed on, its writes are refused", async () => {
  await makeProject(stand.pool, "fenced");
  let now = new Date("2030-01-01T00:00:00Z");
  const clock = { ...systemClock, now: () => now };
  const store = (workerId: string) =>
    createStore({
      ledger: createLedger({ db: stand.db, clock, jobs: { add: async () => {} } }),
      clock,
      workerId,
    });
  const [a, b] = [store("a"), store("b")];
  stand.world.prepareGate = new Promise(() => {});
  const id = await trigger(stand, { project: "fenced" });
  await reached(stand, id, "preparing");
  const first = await a.claim(id);
  expect(await b.claim(id)).toBeNull();
  now = new Date(now.getTime() + LEASE_MS);
  const second = await b.claim(id);
  if (!first || !second) throw new Error("both should have had it, one after the other");
  expect(second.leaseToken).toBe(first.leaseToken + 1);
  expect(await a.renew(first)).toBeNull();
  expect(await a.commit(first, { to: "failed", reason: "stale" })).toBe("conflict");
  expect(await a.commit(first, { patch: { weight: 50 } })).toBe("conflict");
  await a.release(first);
  expect(await stand.engine.deps.ledger.load(id)).toMatchObject({
    state: "preparing",
    weight: 0,
    leaseUntil: second.leaseUntil,
  });
  expect(await b.commit(second, { to: "canceled", reason: "mine", release: { wakeAt: null } })).toMatchObject(
    {
      state: "canceled",
    },
  );
  stand.world.prepareGate = Promise.resolve();
});

test("what a dead owner left is taken over by another control plane", async () => {
  await makeProject(stand.pool, "orphan");
  stand.world.prepareGate = new Promise(() => {});
  const id = await trigger(stand, { project: "orphan" });
  await reached(stand, id, "preparing");
  // The first one goes away in the middle of preparing; the second one finds the row.
  const another = await stand.startAnother();
  stand.world.prepareGate = Promise.resolve();
  await stand.engine.close();
  const view = async () => (await stand.engine.deps.ledger.load(id))?.state;
  await expect.poll(view, { timeout: 30_000 }).toBe("live");
  await another.close();
});
