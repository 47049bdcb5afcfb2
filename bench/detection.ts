import type { ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { machineMs } from "./support/machine-clock.ts";
import { type ProbeStand, startTarget, withProbeStand } from "./support/probe-stand.ts";
import { insertChecks, startProberProcess } from "./support/prober.ts";
import type { BenchResult } from "./support/result.ts";
import { summary } from "./support/statistics.ts";

const SERVICES = 6;
const DEATHS = 20;
const INTERVAL_MS = 1_000;
const TARGET_MS = 1_500;
const PATIENCE_MS = 15_000;

/** Real services die by `kill -9`, each at a random moment of its interval: how long until the event is committed. */
export async function run(): Promise<BenchResult> {
  return withProbeStand(async (stand) => {
    const prober = await startProberProcess(stand);
    const changes = await listen(stand);
    try {
      const lives = await Promise.all(Array.from({ length: SERVICES }, (_, n) => live(stand, changes, n)));
      const found = lives.flatMap(({ detectedMs }) => detectedMs);
      const { rows } = await stand.pool.query(
        "select count(*)::int as n from check_events where to_state = 'down'",
      );
      await Promise.all(lives.map(({ child }) => kill(child)));
      const detected = summary(found);
      return {
        name: "detection",
        unit: "ms, kill -9 → event committed, p99",
        ours: detected.p99,
        peers: {},
        ratios: {},
        target: `≤ ${TARGET_MS} ms at an interval of ${INTERVAL_MS} ms, one event a death`,
        pass: detected.p99 <= TARGET_MS && rows[0].n === found.length,
        ...detected,
        deaths: found.length,
        events: rows[0].n,
        recovered: summary(lives.flatMap(({ recoveredMs }) => recoveredMs)),
      };
    } finally {
      await changes.close();
      await prober.stop();
    }
  });
}

async function live(stand: ProbeStand, changes: Changes, n: number) {
  const id = `chk_${n}`;
  let { child, port } = await startTarget(0);
  const settings = { url: `http://127.0.0.1:${port}/health` };
  // Dying twenty times in a minute is flapping; here each death is one of its own.
  const policy = { intervalMs: INTERVAL_MS, timeoutMs: 500, flapChanges: 0 };
  const up = changes.until(id, "up");
  await insertChecks(stand.pool, stand.dir, new Date(), [{ id, type: "http", settings, policy }]);
  await up;
  const detectedMs: number[] = [];
  const recoveredMs: number[] = [];
  for (let death = 0; death < DEATHS; death++) {
    await sleep(randomInt(INTERVAL_MS));
    const down = changes.until(id, "down");
    const diedAt = machineMs();
    await kill(child);
    detectedMs.push((await down) - diedAt);
    const back = changes.until(id, "up");
    ({ child, port } = await startTarget(port));
    const bornAt = machineMs();
    recoveredMs.push((await back) - bornAt);
  }
  return { detectedMs, recoveredMs, child };
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

type Changes = Awaited<ReturnType<typeof listen>>;

/** Answers when an event was there to be read: a notification comes with the commit of its row. */
async function listen({ databaseUrl, pool }: ProbeStand) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query("listen check_state_changed");
  const waiting = new Map<string, { state: string; resolve: (at: number) => void }>();
  client.on("notification", ({ payload: id = "" }) => void look(id, machineMs()));
  async function look(id: string, at: number): Promise<void> {
    const { rows } = await pool.query(
      "select to_state as state from check_events where check_id = $1 order by id desc limit 1",
      [id],
    );
    const wait = waiting.get(id);
    if (!wait || rows[0]?.state !== wait.state) return;
    waiting.delete(id);
    wait.resolve(at);
  }
  return {
    until: (id: string, state: string) =>
      new Promise<number>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${id} was not ${state} in time.`)), PATIENCE_MS);
        waiting.set(id, {
          state,
          resolve: (at) => {
            clearTimeout(late);
            resolve(at);
          },
        });
      }),
    close: () => client.end(),
  };
}
