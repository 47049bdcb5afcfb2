import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { insertChecks, type ProberProcess, startProberProcess } from "../../bench/support/prober.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";

const CHECKS = 24;
// So long that a verdict is not stale before a lease has run out and the next tick has come.
const INTERVAL_MS = 3_000;
const LEASE_MS = 5_000;

let database: FreshDatabase;
let dir: string;
let first: ProberProcess;
let second: ProberProcess;
let port: number;
let service: Server;

beforeAll(async () => {
  database = await freshDatabase({ migrations: ["control"] });
  dir = await mkdtemp(join(tmpdir(), "signalbox-prober-"));
  service = await listen(0);
  port = (service.address() as { port: number }).port;
  const policy = { intervalMs: INTERVAL_MS, timeoutMs: 2_500 };
  const settings = { host: "127.0.0.1", port };
  await insertChecks(
    database.pool,
    dir,
    systemClock.now(),
    Array.from({ length: CHECKS }, (_, n) => ({ id: `chk_${n}`, type: "tcp" as const, settings, policy })),
  );
  [first, second] = await Promise.all([start(), start()]);
});

afterAll(async () => {
  for (const { child } of [first, second]) child.kill("SIGCONT");
  await Promise.all([first.stop(), second.stop()]);
  service.close();
  await database[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const start = () => startProberProcess({ databaseUrl: database.databaseUrl, dir });

function listen(at: number): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => {}).end());
  return new Promise((resolve) => server.listen(at, "127.0.0.1", () => resolve(server)));
}

async function rows<T>(text: string, values: unknown[] = []): Promise<T[]> {
  return (await database.pool.query(text, values)).rows as T[];
}

async function until<T>(what: string, look: () => Promise<T | null | false>, forMs = 30_000): Promise<T> {
  const deadline = systemClock.monotonicMs() + forMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (systemClock.monotonicMs() > deadline) throw new Error(`${what}: not within ${forMs} ms`);
    await systemClock.sleep(10);
  }
}

/** Who holds how many shards. */
async function owners(): Promise<Map<string, number>> {
  const found = await rows<{ owner: string; held: number }>(
    "select owner, count(*)::int held from check_shards where owner is not null group by owner",
  );
  return new Map(found.map(({ owner, held }) => [owner, held]));
}

const shared = async () => {
  const held = await owners();
  return held.size === 2 && [...held.values()].every((count) => count === 32) && held;
};

const allAre = (state: string) => async () => {
  const [found] = await rows<{ n: number }>("select count(*)::int n from check_states where state = $1", [
    state,
  ]);
  return found?.n === CHECKS;
};

async function transitions(): Promise<string[]> {
  const found = await rows<{ id: string; change: string }>(
    `select check_id id, string_agg(from_state || '>' || to_state, ' ' order by id) change
     from check_events group by 1`,
  );
  expect(found.length).toBe(CHECKS);
  return [...new Set(found.map(({ change }) => change))];
}

test("two probers share the checks, and each change of state is told once", async () => {
  await until("shared by halves", shared);
  await until("all up", allAre("up"));
  service.close();
  await until("all down", allAre("down"));
  service = await listen(port);
  await until("all up again", allAre("up"));
  expect(await transitions()).toEqual(["unknown>up up>down down>up"]);
});

test("one asks for a round, and gets it at once", async () => {
  const id = randomIds("req");
  await rows("insert into check_requests (id, check_id, asked_at) values ($1, 'chk_3', $2)", [
    id,
    systemClock.now(),
  ]);
  await rows("select pg_notify('check_requested', 'chk_3')");
  const round = await until("answered", async () => {
    const [found] = await rows<{ round: { attempts: { status: string }[] } }>(
      "select round from check_requests where id = $1 and answered_at is not null",
      [id],
    );
    return found?.round ?? null;
  });
  expect(round.attempts.map(({ status }) => status)).toEqual(["up"]);
});

test("one that is killed is taken over within its lease, and no check is left out", async () => {
  const before = await until("shared by halves", shared);
  const killedAt = systemClock.now();
  second.child.kill("SIGKILL");
  const survivor = await until("taken over", async () => {
    const held = await owners();
    return held.size === 1 && held.values().next().value === 64 && (held.keys().next().value ?? null);
  });
  const tookMs = systemClock.now().getTime() - killedAt.getTime();
  expect(before.has(survivor)).toBe(true);
  // The longest that a lease had left when its owner died, and a little for the machine.
  expect(tookMs).toBeLessThan(LEASE_MS + 1_000);
  await until("every check asked since", async () => {
    const since = new Date(killedAt.getTime() + tookMs);
    const [found] = await rows<{ n: number }>(
      "select count(distinct check_id)::int n from check_samples where scheduled_at > $1",
      [since],
    );
    return found?.n === CHECKS;
  });
  expect(await transitions()).toEqual(["unknown>up up>down down>up"]);
});

test("one that slept through its lease wakes, writes nothing of what it knew, and takes its part again", async () => {
  second = await start();
  const before = await until("shared by halves", shared);
  const [sleeper] = await rows<{ id: string }>(
    "select id from probers where id = any($1) order by started_at desc",
    [[...before.keys()]],
  );
  second.child.kill("SIGSTOP");
  await until("taken over", async () => [...(await owners()).keys()].every((owner) => owner !== sleeper?.id));
  // What the service is now, only the other one can know.
  service.close();
  await until("all down", allAre("down"));
  const tokens = "select shard, token::int token from check_shards order by shard";
  const taken = await rows(tokens);
  second.child.kill("SIGCONT");
  await until("shared again", shared);
  expect(await rows(tokens)).not.toEqual(taken);
  expect(await transitions()).toEqual(["unknown>up up>down down>up up>down"]);
  await second.stop();
  // Stopped and not killed, it gives its part back: nobody waits for a lease.
  await until("given back", async () => (await owners()).values().next().value === 64, 3_000);
});
