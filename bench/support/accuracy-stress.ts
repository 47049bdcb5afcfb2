import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Asked } from "./accuracy-prober.ts";
import { withProber } from "./accuracy-prober.ts";

const CHECKS = 400;
/** The busy processes are twice as many as the cores: of two cores the prober gets a third of one. */
const BUSY = 2 * availableParallelism();
const LONGEST_MS = 15 * 60_000;

export type Stress = {
  readonly probes: number;
  readonly falseDown: number;
  /** Looks that failed, raw, and what became of others: none of it a verdict by itself. */
  readonly failedLooks: number;
  readonly untrusted: Readonly<Record<string, number>>;
  readonly seconds: number;
};

/** A healthy target, asked while every core is wanted by others too. */
export async function runStress(probes: number): Promise<Stress> {
  const targets = fork(join(import.meta.dirname, "accuracy-target.ts"), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const busy: ChildProcess[] = [];
  try {
    targets.send({ certificates: [null] });
    const [{ ports }] = (await once(targets, "message")) as [{ ports: number[] }];
    const settings = { url: `http://127.0.0.1:${ports[0]}/`, expect: { json: '$.status == "pass"' } };
    const policy = { intervalMs: 1_000, timeoutMs: 1_000 };
    const checks = Array.from(
      { length: CHECKS },
      (_, at): Asked => ({ name: `healthy ${at}`, settings, policy }),
    );
    return await withProber(checks, async ({ pool }) => {
      // Connected before: whoever connects under stress may wait for longer than a pool does.
      const client = await pool.connect();
      await using held = new AsyncDisposableStack();
      held.defer(() => client.release());
      for (let at = 0; at < BUSY; at++)
        busy.push(spawn(process.execPath, ["-e", "for(;;);"], { stdio: "ignore" }));
      const from = performance.now();
      const looks = async () => {
        const { rows } = await client.query<{ untrusted: string | null; failed: number; n: number }>(
          `select untrusted, count(*)::int as n, count(*) filter (where status = 'down')::int as failed
           from check_samples group by 1`,
        );
        return rows;
      };
      const done = (rows: Awaited<ReturnType<typeof looks>>) =>
        rows
          .filter(({ untrusted }) => untrusted !== "missed" && untrusted !== "busy")
          .reduce((sum, { n }) => sum + n, 0);
      let rows = await looks();
      while (done(rows) < probes && performance.now() - from < LONGEST_MS) {
        await sleep(2_000);
        rows = await looks();
      }
      const seconds = Math.round((performance.now() - from) / 1_000);
      const down = await client.query<{ n: number }>(
        "select count(*)::int as n from check_spans where state in ('down', 'degraded')",
      );
      return {
        probes: done(rows),
        falseDown: down.rows[0]?.n ?? 0,
        failedLooks: rows.reduce((sum, { failed }) => sum + failed, 0),
        untrusted: Object.fromEntries(
          rows.flatMap(({ untrusted, n }) => (untrusted ? [[untrusted, n]] : [])),
        ),
        seconds,
      };
    });
  } finally {
    for (const child of busy) child.kill("SIGKILL");
    if (targets.connected) targets.disconnect();
  }
}
