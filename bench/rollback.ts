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
// About 600 requests a second: an answer every 2 ms to see the flip by, on a machine that is not itself the limit.
const THINK_MS = 50;
const PROJECT = "storefront";
const VERSIONS = ["1.0.0", "2.0.0"] as const;
type Version = (typeof VERSIONS)[number];

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
 * The storefront in two versions under load. Each round takes the one that serves back to the other by the API, and
 * looks at when the last answer of the one that had served reached a client.
 */
export async function run(): Promise<BenchResult> {
  return withInstance(async (instance) => {
    const deployments = await shipVersions(instance);
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
      let [to, from] = VERSIONS as readonly [Version, Version];
      for (let index = 0; index < FLIPS; index++) {
        flips.push(await takeBack(instance, load, from, { version: to, id: deployments[to] }));
        [to, from] = [from, to];
      }
    } finally {
      await load.stop();
    }
    return judge(flips, load, machineMs() - startedAt);
  });
}

/** Both versions through production, the newer one last; their deployment ids. */
async function shipVersions({ api }: Instance): Promise<Record<Version, string>> {
  await api.createProject(PROJECT);
  const example = await readTree(join(import.meta.dirname, "../examples/storefront"));
  const ship = async (version: Version) => {
    const { tree } = await api.sendTree(PROJECT, inVersion(example, version));
    const { deploymentId } = await api.trigger({
      environment: "production",
      project: PROJECT,
      source: { tree },
    });
    return assertLive(await api.waitFor(deploymentId)).id;
  };
  return { "1.0.0": await ship("1.0.0"), "2.0.0": await ship("2.0.0") };
}

function inVersion(example: readonly SourceFile[], version: string): SourceFile[] {
  const look = { version, headline: "Good things for long journeys", accent: "#1f6f54" };
  return withFiles(example, [
    sourceFile("signalbox.yaml", CONFIG),
    sourceFile("src/version.json", `${JSON.stringify(look, null, 2)}\n`),
  ]);
}

async function takeBack(
  { api }: Instance,
  load: Load,
  old: Version,
  to: { version: Version; id: string },
): Promise<Flip> {
  await load.take();
  const askedAt = machineMs();
  const { durationMs } = await api.rollback({
    environment: "production",
    project: PROJECT,
    targetDeploymentId: to.id,
  });
  const acknowledgedAt = machineMs();
  await sleep(SETTLE_MS);
  const answers = await load.take();
  if (!countByVersion(answers).has(to.version))
    throw new Error(`After the rollback ${to.version} answers nobody.`);
  return {
    lastOldMs: (lastAnswerOf(answers, old, askedAt) ?? askedAt) - askedAt,
    acknowledgedMs: acknowledgedAt - askedAt,
    reportedMs: durationMs,
    stale: staleAnswers(answers, old, acknowledgedAt),
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
