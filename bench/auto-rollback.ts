import { setTimeout as sleep } from "node:timers/promises";
import { assertLive, type Deployment } from "./support/api.ts";
import { binomialQuantile } from "./support/binomial.ts";
import { type Crowd, type CrowdAnswer, startCrowd } from "./support/crowd.ts";
import { type Instance, withInstance } from "./support/instance.ts";
import { machineMs } from "./support/machine-clock.ts";
import type { BenchResult } from "./support/result.ts";
import { quantile, round, summary } from "./support/statistics.ts";
import { getThroughGateway } from "./support/through-gateway.ts";
import { sourceFile } from "./support/tree.ts";

const ROUNDS = 12;
const WEIGHT = 10;
const ANALYSIS_INTERVAL_MS = 1_000;
const TARGET_MS = ANALYSIS_INTERVAL_MS + 1_000;
/** Share of rounds in which chance alone may exceed the limit. */
const NOISE = 0.999;
// In two seconds 500 requests, each of another person.
const VISITORS = 3_000;
const PER_SECOND = 250;
const PROJECT = "turns-bad";

const CONFIG = `name: ${PROJECT}
health: { path: /healthz, interval: ${ANALYSIS_INTERVAL_MS}ms, timeout: 2s, min_healthy_time: 0s, deadline: 1m }
environments:
  production:
    strategy:
      canary:
        steps: [{ weight: ${WEIGHT}, bake: 30s }]
        analysis: { interval: ${ANALYSIS_INTERVAL_MS}ms, max_error_rate: 0.02, min_requests: 20 }
`;

/** Good until somebody asks its own address for /break; its health check stays good, so only visitors' answers tell. */
const serverOf = (version: string) => `import http from "node:http";
let broken = false;
http.createServer((request, answer) => {
  if (request.url === "/break") broken = true;
  else if (request.url !== "/healthz" && broken) answer.statusCode = 500;
  answer.end("${version}");
}).listen(process.env.PORT ?? 3000);
`;

/** One release that turned bad. */
type Round = {
  /** From its first bad answer to its last. */
  readonly exposedMs: number;
  /** Answers to anybody in that time, and the bad ones of them. */
  readonly answers: number;
  readonly bad: number;
  /** Bad ones between the two that bound the time, which are bad by definition and prove nothing of the share. */
  readonly badBetween: number;
  /** The most that its weight explains. */
  readonly limit: number;
  readonly reason: string | null;
};

/**
 * Releases that begin to answer 500 while they have a tenth of the traffic, under many distinct visitors. How long and
 * how many people meet the bad answers is decided by how fast the counters are read and the weight is taken back.
 */
export async function run(): Promise<BenchResult> {
  return withInstance(async (instance) => {
    await instance.api.createProject(PROJECT);
    assertLive(await instance.api.waitFor(await deploy(instance, "good")));
    const crowd = startCrowd({
      port: instance.gatewayPort,
      host: `${PROJECT}.localhost:${instance.gatewayPort}`,
      visitors: VISITORS,
      perSecond: PER_SECOND,
    });
    const rounds: Round[] = [];
    try {
      for (let index = 0; index < ROUNDS; index++) {
        rounds.push(await turnBad(instance, crowd, await deploy(instance, `bad ${index}`), index));
      }
    } finally {
      await crowd.stop();
    }
    return judge(rounds, crowd.answers);
  });
}

async function deploy({ api }: Instance, version: string): Promise<string> {
  const json = { name: PROJECT, version: "1.0.0", type: "module", scripts: { start: "node server.js" } };
  const { tree } = await api.sendTree(PROJECT, [
    sourceFile("signalbox.yaml", CONFIG),
    sourceFile("package.json", JSON.stringify(json)),
    sourceFile("server.js", serverOf(version)),
  ]);
  return (await api.trigger({ environment: "production", project: PROJECT, source: { tree } })).deploymentId;
}

async function turnBad(instance: Instance, crowd: Crowd, id: string, index: number): Promise<Round> {
  const shifting = await instance.api.waitFor(
    id,
    ({ weight, state }) => weight === WEIGHT || state === "failed",
  );
  const release = shifting.targetDeploymentId ?? "";
  // At another moment between two looks each time: the wait for the next one is part of what is measured.
  await sleep(700 + (index % 4) * (ANALYSIS_INTERVAL_MS / 4));
  const brokenAt = machineMs();
  await getThroughGateway(shifting.url ?? "", "/break");
  const ended = await instance.api.waitFor(id);
  // What was under way when the weight was taken back is still to come.
  await sleep(500);
  return roundOf(crowd.answers, release, brokenAt, ended);
}

function roundOf(all: readonly CrowdAnswer[], release: string, brokenAt: number, ended: Deployment): Round {
  if (ended.state !== "rolled_back") throw new Error(`It ended ${ended.state}: ${ended.reason}`);
  const since = all.filter(({ at }) => at >= brokenAt);
  const bad = since.filter((answer) => answer.release === release && answer.status >= 500);
  const first = Math.min(...bad.map(({ at }) => at));
  const last = Math.max(...bad.map(({ at }) => at));
  const meanwhile = since.filter(({ at }) => at >= first && at <= last);
  return {
    exposedMs: Math.max(0, last - first),
    answers: meanwhile.length,
    bad: bad.length,
    badBetween: Math.max(0, bad.length - 2),
    limit: binomialQuantile(Math.max(0, meanwhile.length - 2), WEIGHT / 100, NOISE),
    reason: ended.reason,
  };
}

function judge(rounds: readonly Round[], answers: readonly CrowdAnswer[]): BenchResult {
  const exposed = rounds.map(({ exposedMs }) => exposedMs);
  const max = round(quantile(exposed, 1));
  const tooMany = rounds.filter(({ badBetween, limit }) => badBetween > limit);
  const unanswered = answers.filter(({ status }) => status === 0).length;
  const sum = (of: (each: Round) => number) => rounds.reduce((total, each) => total + of(each), 0);
  const between = sum(({ answers: count }) => Math.max(0, count - 2));
  return {
    name: "auto-rollback",
    unit: "ms, first bad answer → last bad answer, max",
    ours: max,
    peers: {},
    ratios: {},
    target: `${ROUNDS} releases: ≤ ${TARGET_MS} ms, and no more bad answers than ${WEIGHT} % of all, noise at 99.9 %`,
    pass: max <= TARGET_MS && tooMany.length === 0 && unanswered === 0,
    exposed: summary(exposed),
    badShare: Math.round((sum(({ badBetween }) => badBetween) / between) * 1_000) / 1_000,
    badAnswers: sum(({ bad }) => bad),
    answersMeanwhile: sum(({ answers: count }) => count),
    tooMany: tooMany.length,
    requests: answers.length,
    unanswered,
    rounds: rounds.map((each) => ({ ...each, exposedMs: round(each.exposedMs) })),
  };
}
