import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Instance } from "../../bench/support/instance.ts";
import { countByVersion, lastAnswerOf } from "../../bench/support/judge.ts";
import { Load } from "../../bench/support/load.ts";
import { machineMs } from "../../bench/support/machine-clock.ts";
import { keepConnections, openTheShop, paintItBlue } from "./commits.ts";
import { type Commit, Repository } from "./repository.ts";
import { PROJECT, ship, shipUntilLive, timeToBuild, timeToLive } from "./ship.ts";
import { count, duration, type Story } from "./story.ts";
import { firstFailingHealth, watchRollout } from "./watch.ts";

const VISITORS = 24;
const THINK_MS = 100;
const WEB_SOCKETS = 6;
const STREAMS = 2;
const SETTLE_MS = 1_500;

export type Stage = { instance: Instance; repository: Repository; story: Story };
export type DeployFigures = { deployMs: number; cachedDeployMs: number; initiationMs: number };

export async function makeRepository(instance: Instance, story: Story): Promise<Repository> {
  const directory = join(instance.dir, "demo/storefront");
  story.say(`A git repository of its own for the shop: ${directory}`);
  return Repository.create(join(import.meta.dirname, "../../examples/storefront"), directory);
}

/** The first commit everywhere, and the same tree once more. */
export async function openEverywhere(stage: Stage): Promise<DeployFigures & { commit: Commit }> {
  const { instance, repository, story } = stage;
  const commit = await openTheShop(repository);
  tellCommit(story, commit);
  for (const environment of ["preview", "staging"] as const) {
    const deployment = await shipUntilLive(stage, environment);
    const how = deployment.reused ? "reusing the build" : "with a build";
    story.good(
      `${environment} is live after ${duration(timeToLive(deployment))}, ${how}: ${deployment.urls[0]}`,
    );
  }
  story.say(
    "Production once more from nothing (--force), to measure a whole deploy: npm ci, vite build, proof, switch.",
  );
  const production = await shipUntilLive(stage, "production", ["--force"]);
  const deployMs = timeToLive(production);
  const initiationMs = await timeToBuild(instance, production);
  story.good(
    `production is live after ${duration(deployMs)}; its build began ${duration(initiationMs)} after the trigger.`,
  );
  const again = await shipUntilLive(stage, "preview");
  const cachedDeployMs = timeToLive(again);
  story.good(`The same tree again: live after ${duration(cachedDeployMs)}, nothing sent, nothing built.`);
  return { deployMs, cachedDeployMs, initiationMs, commit };
}

export async function startTraffic({ instance, story }: Stage): Promise<Load> {
  const load = new Load({
    port: instance.gatewayPort,
    host: `${PROJECT}.localhost:${instance.gatewayPort}`,
    visitors: VISITORS,
    thinkMs: THINK_MS,
    webSockets: WEB_SOCKETS,
    streams: STREAMS,
  });
  await load.warm(WEB_SOCKETS + STREAMS);
  story.say(
    `${VISITORS} visitors at a time on keep-alive connections (pages, files, API, orders with a body), ` +
      `${WEB_SOCKETS} WebSockets, ${STREAMS} event streams. They stay until the end.`,
  );
  return load;
}

/** The second commit, step by step, while people shop. */
export async function canary(stage: Stage, load: Load, before: Commit): Promise<Commit> {
  const { repository, story } = stage;
  const commit = await paintItBlue(repository);
  tellCommit(story, commit);
  const { accepted, command } = await ship({ ...stage, story: quiet(story) }, "production");
  const deployment = await watchRollout({ ...stage, load }, (await accepted).id, [
    before.version,
    commit.version,
  ]);
  await command;
  if (deployment.state !== "live")
    throw new Error(`The canary ended ${deployment.state}: ${deployment.reason}`);
  story.good(
    `v${commit.version} is promoted: it answers everyone, ${duration(timeToLive(deployment))} after the trigger.`,
  );
  await sleep(SETTLE_MS);
  return commit;
}

/** The third commit leaks once it is used. Returns how long visitors still met it after it first said "unwell". */
export async function turnsBad(stage: Stage, load: Load, before: Commit): Promise<number> {
  const { instance, repository, story } = stage;
  const commit = await keepConnections(repository);
  tellCommit(story, commit);
  const { accepted, command } = await ship({ ...stage, story: quiet(story) }, "production");
  const { id } = await accepted;
  const giveUp = new AbortController();
  const unwell = failingOnceServed(instance, id, commit.version, giveUp.signal);
  const deployment = await watchRollout({ ...stage, load }, id, [before.version, commit.version]);
  await command;
  if (deployment.state !== "rolled_back") {
    throw new Error(
      `The bad release ended ${deployment.state}, not rolled back: ${deployment.reason ?? "no reason"}`,
    );
  }
  giveUp.abort();
  const failing = await unwell;
  if (failing === null) throw new Error("The release was rolled back before its health answer failed.");
  await sleep(SETTLE_MS);
  await load.take();
  const last = lastAnswerOf(load.answers, commit.version, failing.at) ?? failing.at;
  const autoRollbackMs = last - failing.at;
  story.bad(`v${commit.version} said: ${failing.words}`);
  story.good(`Taken back by itself: ${deployment.reason ?? "no reason given"}`);
  story.good(`From its first failing health answer to its last visitor: ${duration(autoRollbackMs)}.`);
  return autoRollbackMs;
}

/** By hand: one call, and the release before is back. Returns when the last visitor met the one taken back. */
export async function byHand(
  { instance, story }: Stage,
  load: Load,
  from: Commit,
  to: Commit,
): Promise<number> {
  await load.take();
  story.say(`POST ${instance.url}/api/deploy/rollback {"environment":"production"}`);
  const askedAt = machineMs();
  const { durationMs } = await instance.api.rollback({ environment: "production", project: PROJECT });
  const answeredAfter = machineMs() - askedAt;
  await sleep(SETTLE_MS);
  const answers = await load.take();
  const rollbackMs = (lastAnswerOf(answers, from.version, askedAt) ?? askedAt) - askedAt;
  if (!countByVersion(answers).has(to.version))
    throw new Error(`Nobody is answered by v${to.version} after the rollback.`);
  story.good(
    `v${to.version} is back. Last answer of v${from.version} ${duration(rollbackMs)} after the call ` +
      `(acknowledged after ${duration(answeredAfter)}, ${duration(durationMs)} of it inside).`,
  );
  return rollbackMs;
}

export async function endTraffic(
  { story }: Stage,
  load: Load,
): Promise<{ requests: number; failedRequests: number }> {
  await load.stop();
  const failures = load.failures();
  const told = `${count(load.requests)} requests, ${count(load.messages)} live messages`;
  if (failures.length === 0) story.good(`${told}, not one failed.`);
  else story.bad(`${told}, ${count(failures.length)} failed:`);
  for (const failure of failures.slice(0, 10)) story.quote(failure);
  return { requests: load.requests, failedRequests: failures.length };
}

/** Waits until the release exists and answers for itself, then watches its health. */
async function failingOnceServed({ api }: Instance, id: string, version: string, signal: AbortSignal) {
  const served = await api.waitFor(id, ({ weight, finishedAt }) => weight > 0 || finishedAt !== null);
  return firstFailingHealth(served, version, signal);
}

export function tellCommit(story: Story, { sha, version, message }: Commit): void {
  story.command(`git commit -m "${message}"`);
  story.quote(`${sha.slice(0, 7)}  v${version}`);
}

/** While the bars tell of the rollout, the CLI's own progress would only say the same twice. */
export function quiet(story: Story): Story {
  return { ...story, quote: () => undefined };
}
