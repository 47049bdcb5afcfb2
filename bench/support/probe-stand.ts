import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { systemClock } from "../../src/foundation/clock.ts";
import { startEmbeddedPostgres } from "../../src/foundation/embedded-postgres.ts";
import { silentLog } from "../../src/foundation/log.ts";
import { migrate } from "../../src/foundation/migrate.ts";
import { readStat } from "./proc.ts";

/** A durable Postgres as `signalbox up` starts it, migrated, and a service to be probed. */
export type ProbeStand = {
  readonly dir: string;
  readonly databaseUrl: string;
  readonly pool: pg.Pool;
  readonly targetPort: number;
  /** CPU time of all of Postgres so far: its backends, and those that have ended. */
  postgresCpuUs(): number;
};

export async function withProbeStand<T>(use: (stand: ProbeStand) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "signalbox-bench-"));
  await chmod(dir, 0o755);
  const postgres = await startEmbeddedPostgres({ clock: systemClock, log: silentLog }, { dir });
  const pool = new pg.Pool({ connectionString: postgres.databaseUrl, max: 4 });
  const target = await startTarget(0);
  try {
    const directory = join(import.meta.dirname, "../../migrations/control");
    await migrate({ pool, clock: systemClock, schema: "public", directory });
    return await use({
      dir,
      databaseUrl: postgres.databaseUrl,
      pool,
      targetPort: target.port,
      postgresCpuUs: () => familyCpuUs(postgres.pid),
    });
  } finally {
    target.child.kill("SIGKILL");
    await pool.end();
    await postgres.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** A service at `port` (0: any). */
export async function startTarget(port: number): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(join(import.meta.dirname, "probe-target.ts"), [String(port)]);
  const [message] = (await once(child, "message")) as [{ port: number }];
  return { child, port: message.port };
}

// `sysconf(_SC_CLK_TCK)` is 100 on every Linux that node runs on.
const TICK_US = 10_000;

/** proc(5): fields 16 and 17 are the CPU time of children that have ended and were waited for. */
function familyCpuUs(pid: number): number {
  let total = readStat(pid).cpuUs + Number(statOf(pid)[13]) * TICK_US + Number(statOf(pid)[14]) * TICK_US;
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (Number(statOf(Number(name))[1]) === pid) total += readStat(Number(name)).cpuUs;
    } catch {
      // It has ended meanwhile.
    }
  }
  return total;
}

function statOf(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
