import { setTimeout as sleep } from "node:timers/promises";
import { driveBlackbox, installBlackbox } from "./support/blackbox.ts";
import { type ProbeStand, withProbeStand } from "./support/probe-stand.ts";
import { insertChecks, startProberProcess } from "./support/prober.ts";
import { readStat } from "./support/proc.ts";
import type { BenchResult } from "./support/result.ts";

const CHECKS = 10_000;
const INTERVAL_MS = 10_000;
/** Whole minutes: what is rolled up once a minute is a part of the price. */
const MEASURED_MS = 60_000;
const CORE = 0;
/** As many hosts as ten thousand services may well have: the limit of one host is not what is measured. */
const HOSTS = 200;
const TARGET = { latenessMs: 20, cpuMs: 0.6, ratio: 0.75 };

/** Ten thousand checks by HTTP every ten seconds, on one core, with a durable Postgres; then Debian's exporter. */
export async function run(): Promise<BenchResult> {
  return withProbeStand(async (stand) => {
    const ours = await measure(stand);
    const missing = installBlackbox();
    const peer = missing === null ? await measurePeer(stand) : null;
    const ratio = peer === null ? null : ours.cpuMs / peer.cpuMsPerProbe;
    const onTime = ours.latenessP99Ms <= TARGET.latenessMs && ours.skipped === 0 && ours.failed === 0;
    return {
      name: "prober",
      unit: "ms of CPU a check, storage included",
      ours: round3(ours.cpuMs),
      peers: peer === null ? {} : { blackbox_exporter: round3(peer.cpuMsPerProbe) },
      ratios: ratio === null ? {} : { blackbox_exporter: round3(ratio) },
      target: `lateness p99 ≤ ${TARGET.latenessMs} ms, none missed; ≤ ${TARGET.cpuMs} ms; ≤ ${TARGET.ratio} × blackbox`,
      pass: onTime && ours.cpuMs <= TARGET.cpuMs && (ratio === null || ratio <= TARGET.ratio),
      ...ours,
      ...(peer === null ? { skipped_peer: missing } : { blackbox: peer }),
    };
  });
}

async function measure(stand: ProbeStand) {
  const { pool, dir, databaseUrl } = stand;
  const prober = await startProberProcess({ databaseUrl, dir, pin: CORE });
  try {
    const checks = Array.from({ length: CHECKS }, (_, n) => ({
      id: `chk_${n}`,
      type: "http" as const,
      settings: { url: urlOf(stand, n), expect: { contains: '"status":"pass"' } },
      policy: { intervalMs: INTERVAL_MS, timeoutMs: 5_000 },
    }));
    await insertChecks(pool, dir, new Date(), checks);
    await allKnown(stand);
    // What is compiled and vacuumed at the beginning is no part of the load.
    await sleep(2 * INTERVAL_MS);
    const from = new Date();
    const before = { prober: readStat(prober.pid).cpuUs, postgres: stand.postgresCpuUs() };
    await sleep(MEASURED_MS);
    const to = new Date();
    const proberMs = (readStat(prober.pid).cpuUs - before.prober) / 1_000;
    const postgresMs = (stand.postgresCpuUs() - before.postgres) / 1_000;
    await sleep(2_000);
    const { rows } = await pool.query(
      `select count(*)::int as rounds, count(*) filter (where untrusted is not null)::int as skipped,
         count(*) filter (where status <> 'up')::int as failed,
         percentile_disc(0.5) within group (order by late_ms) as p50,
         percentile_disc(0.99) within group (order by late_ms) as p99, max(late_ms) as most,
         percentile_disc(0.99) within group (order by latency_ms) as latency_p99
       from check_samples where scheduled_at >= $1 and scheduled_at < $2`,
      [from, to],
    );
    const { rounds, skipped, failed, p50, p99, most, latency_p99 } = rows[0];
    const due = (CHECKS * (to.getTime() - from.getTime())) / INTERVAL_MS;
    return {
      cpuMs: (proberMs + postgresMs) / rounds,
      proberMs: round3(proberMs / rounds),
      postgresMs: round3(postgresMs / rounds),
      rounds,
      due: Math.round(due),
      skipped,
      failed,
      latenessP50Ms: round3(p50),
      latenessP99Ms: round3(p99),
      latenessMaxMs: round3(most),
      recordedLatencyP99Ms: round3(latency_p99),
    };
  } finally {
    await prober.stop();
  }
}

async function allKnown({ pool }: ProbeStand): Promise<void> {
  for (let left = 120; left > 0; left--) {
    const { rows } = await pool.query("select count(*)::int as n from check_states where state = 'up'");
    if (rows[0].n === CHECKS) return;
    await sleep(1_000);
  }
  throw new Error(`Not all of ${CHECKS} checks were up within two minutes.`);
}

function measurePeer(stand: ProbeStand) {
  const perSecond = (CHECKS / INTERVAL_MS) * 1_000;
  return driveBlackbox({
    dir: stand.dir,
    pin: CORE,
    perSecond,
    ms: 15_000,
    targetOf: (n) => urlOf(stand, n),
  });
}

function urlOf({ targetPort }: ProbeStand, n: number): string {
  return `http://127.0.1.${(n % HOSTS) + 1}:${targetPort}/health`;
}

function round3(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
