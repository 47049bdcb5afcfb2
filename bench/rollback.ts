import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { assertLive } from "./support/api.ts";
import { type Instance, withInstance } from "./support/instance.ts";
import { countByVersion, lastAnswerOf, staleAnswers } from "./support/judge.ts";
import { Load } from "./support/load.ts";
import { machineMs } from "./support/machine-clock.ts";
import type { BenchResult } from "./support/result.ts";
import { quantile, round, summary } from "./support/statistics.ts";
import { readTree, type SourceFile, sourceFile, withFiles } from "./support/tree.ts";

const FLIPS = 100;
const VISITORS = 32;
const WEB_SOCKETS = 50;
const STREAMS = 4;
const THINK_MS = 20;
const PROJECT = "storefront";
const [GOOD, BAD] = ["1.0.0", "2.0.0"] as const;

// How long traffic goes on between a flip and the next: enough for every visitor to have met both releases.
const SETTLE_MS = 400;

const CONFIG = `name: ${PROJECT}
build: { command: npm run build, output: dist, start: node server.js }
health: { path: /healthz, interval: 50ms, timeout: 2s, min_healthy_time: 100ms, deadline: 1m }
environments:
  production: { strategy: instant }
`;

/** One flip back. Latencies in ms from the moment the rollback was asked for. */
type Flip = { lastOldMs: number; acknowledgedMs: number; reportedMs: number; stale: number };

/**
 * The storefront in two versions under load. Each round ships the newer one for real, then takes it back by the API
 * and looks at when its last answer reached a client.
 */
export async function run(): Promise<BenchResult> {
  return withInstance(async (instance) => {
    const trees = await sendVersions(instance);
    await ship(instance, trees[GOOD]);
    const load = new Load({
      port: instance.gatewayPort,
      host: `${PROJECT}.localhost:${instance.gatewayPort}`,
      visitors: VISITORS,
      thinkMs: THINK_MS,
      webSockets: WEB_SOCKETS,
      streams: STREAMS,
    });
    await load.warm(WEB_SOCKETS + STREAMS);
    const startedAt = machineMs();
    const flips: Flip[] = [];
    try {
      for (let index = 0; index < FLIPS; index++) {
        await ship(instance, trees[BAD]);
        await sleep(SETTLE_MS);
        flips.push(await takeBack(instance, load));
      }
    } finally {
      await load.stop();
    }
    return judge(flips, load, machineMs() - startedAt);
  });
}

async function sendVersions({ api }: Instance): Promise<Record<typeof GOOD | typeof BAD, string>> {
  await api.createProject(PROJECT);
  const example = await readTree(join(import.meta.dirname, "../examples/storefront"));
  const send = async (version: string) => (await api.sendTree(PROJECT, inVersion(example, version))).tree;
  return { [GOOD]: await send(GOOD), [BAD]: await send(BAD) };
}

function inVersion(example: readonly SourceFile[], version: string): SourceFile[] {
  const look = { version, headline: "Good things for long journeys", accent: "#1f6f54" };
  return withFiles(example, [
    sourceFile("signalbox.yaml", CONFIG),
    sourceFile("src/version.json", `${JSON.stringify(look, null, 2)}\n`),
  ]);
}

async function ship({ api }: Instance, tree: string): Promise<void> {
  const { deploymentId } = await api.trigger({
    environment: "production",
    project: PROJECT,
    source: { tree },
  });
  assertLive(await api.waitFor(deploymentId));
}

async function takeBack({ api }: Instance, load: Load): Promise<Flip> {
  const before = countByVersion(await load.take());
  if (!before.has(BAD)) throw new Error(`${BAD} is live and answered nobody: ${JSON.stringify([...before])}`);
  const askedAt = machineMs();
  const { durationMs } = await api.rollback("production", PROJECT);
  const acknowledgedAt = machineMs();
  await sleep(SETTLE_MS);
  const answers = await load.take();
  if (!countByVersion(answers).has(GOOD))
    throw new Error(`After the rollback nobody was answered by ${GOOD}.`);
  return {
    lastOldMs: (lastAnswerOf(answers, BAD, askedAt) ?? askedAt) - askedAt,
    acknowledgedMs: acknowledgedAt - askedAt,
    reportedMs: durationMs,
    stale: staleAnswers(answers, BAD, acknowledgedAt),
  };
}

function judge(flips: readonly Flip[], load: Load, durationMs: number): BenchResult {
  const lastOld = flips.map((flip) => flip.lastOldMs);
  const [p50, p99] = [round(quantile(lastOld, 0.5)), round(quantile(lastOld, 0.99))];
  const stale = flips.reduce((sum, flip) => sum + flip.stale, 0);
  const failures = load.failures();
  return {
    name: "rollback",
    unit: "ms, API call → last answer of the old release, p99",
    ours: p99,
    peers: {},
    ratios: {},
    target: `${FLIPS} flips: p50 ≤ 15 ms, p99 ≤ 50 ms, 0 failed requests, 0 stale answers after the acknowledgement`,
    pass: p50 <= 15 && p99 <= 50 && failures.length === 0 && stale === 0,
    p50,
    max: round(quantile(lastOld, 1)),
    acknowledged: summary(flips.map((flip) => flip.acknowledgedMs)),
    reported: summary(flips.map((flip) => flip.reportedMs)),
    staleAnswers: stale,
    failedRequests: failures.length,
    failures: failures.slice(0, 20),
    requests: load.requests,
    requestsPerSecond: Math.round((load.requests / durationMs) * 1_000),
    channelMessages: load.messages,
    channelsReconnected: load.closings.length,
  };
}
