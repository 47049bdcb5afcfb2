import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { askSteadily } from "./support/ask-steadily.ts";
import { databaseOf } from "./support/database-of.ts";
import { type Forked, forkServer } from "./support/forked.ts";
import { insertChecks, keepUpdating } from "./support/health-checks.ts";
import { measurePeers, type Pair, type Peer, versionOf } from "./support/health-peers.ts";
import { type Instance, withInstance } from "./support/instance.ts";
import { pidOf } from "./support/pid-of.ts";
import { median, readStat } from "./support/proc.ts";
import { pin } from "./support/proxies.ts";
import type { SteadyResult } from "./support/steady-load.ts";

/**
 * What `/api/health` of a whole control plane costs with 1,000 checks that change all the time, against a bare
 * `node:http` server that answers as many bytes; and what an app's own health answer costs while what it depends on
 * hangs, against the libraries that ask when they are asked. Rounds are interleaved, ratios taken within a round.
 *
 * The answer is 100 KB, which most of those who ask often (browsers, `fetch`, Go programs) take compressed: that is
 * what the target is of. The same without compression is measured beside it.
 */
const CHECKS = 1_000;
const PER_SECOND = 5_000;
const SECONDS = 4;
const ROUNDS = 5;
const CONNECTIONS = 32;
const TARGET = { p99Ms: 5, ratio: 1.3, hangingMs: 10 };
const FORMS = { compressed: { "accept-encoding": "gzip" }, plain: {} } as const;
type Form = keyof typeof FORMS;
/** Each is alone on one CPU while the load has the other. */
const PINNED = availableParallelism() > 1;

type Reading = SteadyResult & { readonly cpuUs: number };
type Round = { readonly ours: Reading; readonly bare: Reading };
type Measured = Record<Form, Round[]> & {
  /** CPU time that the control plane takes in a second while nobody asks; the reading of the checks is in it. */
  readonly idleUsPerS: number;
};

export async function run() {
  const rounds = await withInstance(measureEndpoint);
  const peers = await measurePeers();
  const compressed = summarize(rounds.compressed, rounds.idleUsPerS);
  const { ours, ...others } = flatness(peers);
  const isFlat = ours.hanging <= TARGET.hangingMs;
  const areOthersFlat = Object.values(others).some(({ hanging, answering }) => hanging < 10 * answering);
  return {
    name: "health-endpoint",
    unit: `ms, p99 of /api/health at ${PER_SECOND} a second`,
    ours: compressed.p99Ms,
    peers: { bare: compressed.bareP99Ms },
    ratios: {
      cpuToBare: compressed.cpuRatio,
      wholeCpuToBare: compressed.wholeCpuRatio,
      p99ToBare: compressed.p99Ratio,
    },
    target: `p99 ≤ ${TARGET.p99Ms} ms, CPU ≤ ${TARGET.ratio} × bare node:http, flat while dependencies hang`,
    pass:
      compressed.unanswered === 0 &&
      compressed.p99Ms <= TARGET.p99Ms &&
      compressed.wholeCpuRatio <= TARGET.ratio &&
      isFlat &&
      !areOthersFlat,
    compressed,
    plain: summarize(rounds.plain, rounds.idleUsPerS),
    idleMsPerS: round(rounds.idleUsPerS / 1_000),
    p99MsWhileAnsweringAndHanging: { "signalbox/health": ours, ...others },
    versions: {
      node: process.version,
      "@nestjs/terminus": versionOf("@nestjs/terminus"),
      "@godaddy/terminus": versionOf("@godaddy/terminus"),
    },
  };
}

async function measureEndpoint(instance: Instance): Promise<Measured> {
  const pool = new pg.Pool({ connectionString: await databaseOf(instance.dir), max: 1 });
  await insertChecks(pool, CHECKS);
  const updating = keepUpdating(pool, CHECKS);
  const bare: Forked[] = [];
  try {
    const control = await pidOf(instance.dir, "control");
    const target = { pid: control, port: Number(new URL(instance.url).port) };
    await untilShown(instance.url);
    if (PINNED) pin(control, 0);
    const idleUsPerS = await idle(control);
    const rounds: Measured = { compressed: [], plain: [], idleUsPerS };

    for (const form of ["compressed", "plain"] as const) {
      // The first round warms the compilers up and says how long the answers are.
      const { bodyBytes } = await measure(target, "/api/health", form, 2);
      const server = await forkServer("bare-answer.ts", String(bodyBytes));
      bare.push(server);
      if (PINNED) pin(server.pid, 0);
      await measure(server, "/", form, 2);
      for (let at = 0; at < ROUNDS; at++) {
        const ours = await measure(target, "/api/health", form, SECONDS);
        rounds[form].push({ ours, bare: await measure(server, "/", form, SECONDS) });
      }
    }
    return rounds;
  } finally {
    await updating.stop();
    await pool.end();
    await Promise.all(bare.map((server) => server.stop()));
  }
}

async function measure(
  { pid, port }: { readonly pid: number; readonly port: number },
  path: string,
  form: Form,
  seconds: number,
): Promise<Reading> {
  const before = readStat(pid).cpuUs;
  const headers = FORMS[form];
  const load = { port, path, headers, perSecond: PER_SECOND, seconds, connections: CONNECTIONS };
  const result = await askSteadily(load, PINNED ? 1 : null);
  return { ...result, cpuUs: (readStat(pid).cpuUs - before) / result.answered };
}

async function idle(pid: number): Promise<number> {
  const before = readStat(pid).cpuUs;
  await sleep(SECONDS * 1_000);
  return (readStat(pid).cpuUs - before) / SECONDS;
}

async function untilShown(url: string): Promise<void> {
  for (;;) {
    const answer = await fetch(`${url}/api/health`);
    const { services } = (await answer.json()) as { services: Record<string, unknown> };
    if (Object.keys(services).length > CHECKS) return;
    await sleep(100);
  }
}

function summarize(rounds: readonly Round[], idleUsPerS: number) {
  const of = (read: (round: Round) => number) => round(median(rounds.map(read)));
  const idleUs = idleUsPerS / PER_SECOND;
  const worst = Math.max(...rounds.map(({ ours }) => ours.ms.p99));
  return {
    p50Ms: of(({ ours }) => ours.ms.p50),
    p99Ms: of(({ ours }) => ours.ms.p99),
    worstP99Ms: worst,
    bareP50Ms: of(({ bare }) => bare.ms.p50),
    bareP99Ms: of(({ bare }) => bare.ms.p99),
    p99Ratio: of(({ ours, bare }) => ours.ms.p99 / bare.ms.p99),
    cpuUs: of(({ ours }) => ours.cpuUs),
    bareCpuUs: of(({ bare }) => bare.cpuUs),
    /** Of the answers alone, and with all that the control plane does besides. */
    cpuRatio: of(({ ours, bare }) => (ours.cpuUs - idleUs) / bare.cpuUs),
    wholeCpuRatio: of(({ ours, bare }) => ours.cpuUs / bare.cpuUs),
    bytes: rounds[0]?.ours.bodyBytes,
    unanswered: rounds.reduce((sum, { ours }) => sum + ours.unanswered, 0),
  };
}

function flatness(peers: Record<Peer, Pair>) {
  const of = ({ answering, hanging }: Pair) => ({ answering: answering.ms.p99, hanging: hanging.ms.p99 });
  const { "signalbox/health": ours, ...others } = peers;
  return {
    ours: of(ours),
    "@nestjs/terminus": of(others["@nestjs/terminus"]),
    "@godaddy/terminus": of(others["@godaddy/terminus"]),
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
