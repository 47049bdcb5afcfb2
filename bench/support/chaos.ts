import { setTimeout as sleep } from "node:timers/promises";
import { assertLive, type Deployment, isTerminal } from "./api.ts";
import { classOf, enteredAt, type Kill, tally, twoLive, type Victim } from "./chaos-judge.ts";
import {
  announce,
  compareTraffic,
  LINES,
  type LineRecord,
  type Place,
  type Story,
  untilState,
  workLine,
} from "./chaos-line.ts";
import { type Random, seededRandom } from "./chaos-random.ts";
import { isWhole, killOne, until } from "./chaos-victims.ts";
import { startVisitors, type Visitors } from "./chaos-visitors.ts";
import type { Instance } from "./instance.ts";
import { summary } from "./statistics.ts";

export type ChaosOptions = {
  readonly seed: number;
  /** Beside the first release of each line, which is there before anything is killed. */
  readonly deployments: number;
  /** SIGKILLs at most; `untilDone`: they go on until the last deployment has ended, and this is the least. */
  readonly kills: number;
  readonly untilDone?: boolean;
  /** A kill comes after at most this many further requests of the visitors: moments that depend on no clock. */
  readonly requestsBetween: number;
  readonly visitors: number;
  /** A deployment that takes longer is stuck. Default 120,000: a machine that has this run for itself. */
  readonly settleWithinMs?: number;
  readonly say: (line: string) => void;
};

const VICTIMS: readonly Victim[] = ["control", "dock", "gateway", "worker", "postgres", "app"];

export type ChaosReport = Awaited<ReturnType<typeof runChaos>>;

/**
 * Deploys, cancels and rolls back in four projects under load, while processes of the instance are killed at random
 * moments; then compares what clients were promised, what the rows say and what visitors saw.
 */
export async function runChaos(instance: Instance, options: ChaosOptions) {
  const place: Place = { ...instance, settleWithinMs: options.settleWithinMs ?? 120_000 };
  const startedAt = performance.now();
  const random = seededRandom(options.seed);
  const record: LineRecord = { stories: [], wrongTraffic: [], rollbacks: 0, rollbacksRefused: 0 };
  const first = await firstReleases(place);
  const versions = LINES.map(({ project }, index) =>
    Array.from({ length: shareOf(options.deployments, index) }, (_, at) => `${project} v${at + 1}`),
  );
  const known = new Set([...first.map(({ version }) => version), ...versions.flat()]);
  const crowds = LINES.map(({ project }) =>
    startVisitors({ port: instance.gatewayPort, project, visitors: options.visitors }, (body) =>
      known.has(body),
    ),
  );
  const working = new AbortController();
  const lines = LINES.map((line, index) =>
    workLine(place, line, versions[index] ?? [], record, seededRandom(options.seed + index + 1)),
  );
  const worked = Promise.all(lines).finally(() => working.abort());
  const kills: Kill[] = [];
  try {
    await Promise.all([
      worked,
      killOnAndOn(instance, options, crowds, kills, { random, signal: working.signal }),
    ]);
    await until("everything is back", () => isWhole(instance));
    for (const line of LINES) await compareTraffic(place, line, record);
  } finally {
    await Promise.all(crowds.map((crowd) => crowd.stop()));
  }
  const stories = [...first, ...record.stories];
  const judged = await judge(instance, stories, crowds, kills);
  return {
    seed: options.seed,
    ...judged,
    wrongTraffic: record.wrongTraffic,
    rollbacks: record.rollbacks,
    rollbacksRefused: record.rollbacksRefused,
    durationS: Math.round((performance.now() - startedAt) / 1_000),
  };
}

const shareOf = (count: number, index: number) =>
  Math.floor(count / LINES.length) + (index < count % LINES.length ? 1 : 0);

async function firstReleases(place: Place): Promise<Story[]> {
  return Promise.all(
    LINES.map(async (line) => {
      await place.api.createProject(line.project);
      const story = await announce(place, line, `${line.project} v0`);
      story.ended = await untilState(place, story.id, isTerminal);
      if (story.ended) assertLive(story.ended);
      return story;
    }),
  );
}

/**
 * Round after round: one process, or two at once, at a moment drawn by the seed; then all of it comes back. The first
 * rounds take each kind once, so that a short run has killed everything.
 */
async function killOnAndOn(
  instance: Instance,
  options: ChaosOptions,
  crowds: readonly Visitors[],
  kills: Kill[],
  { random, signal }: { random: Random; signal: AbortSignal },
): Promise<void> {
  const queue = shuffled(VICTIMS, random);
  const requests = () => crowds.reduce((sum, crowd) => sum + crowd.seen.requests, 0);
  while (kills.length < options.kills || (options.untilDone === true && !signal.aborted)) {
    const at = requests() + random.below(options.requestsBetween);
    while (requests() < at) await sleep(5);
    const victims = [
      queue.pop() ?? random.pick(VICTIMS),
      ...(random.next() < 0.3 ? [random.pick(VICTIMS)] : []),
    ];
    options.say(`kill ${victims.join(" and ")} after ${requests()} requests`);
    const killed = await Promise.all(
      [...new Set(victims)].map((victim) => killOne(instance, victim, random)),
    );
    kills.push(...killed.filter((kill) => kill !== null));
    await until("everything is back", () => isWhole(instance));
  }
}

function shuffled<T>(values: readonly T[], random: Random): T[] {
  return values
    .map((value) => ({ value, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

/** What the run is about: promises kept, one live each, and every failed request explained by a kill. */
async function judge(
  { api }: Instance,
  stories: readonly Story[],
  crowds: readonly Visitors[],
  kills: readonly Kill[],
) {
  const now = await Promise.all(
    stories.map(({ id }) =>
      api.status(id).then(
        ({ deployment }) => deployment,
        () => null,
      ),
    ),
  );
  const rows = now.filter((deployment) => deployment !== null);
  const projects = new Map(stories.map(({ id, line }) => [id, line.project]));
  const releases = new Map(rows.map((row) => [row.targetDeploymentId ?? "", projects.get(row.id)]));
  const failed = crowds.flatMap(({ seen }) => seen.failed);
  const classes = failed.map((each) => classOf(each, kills, (release) => releases.get(release)));
  const unexpected = failed.filter((_, index) => classes[index] === "unexpected");
  const ended = stories.flatMap((story) => story.ended ?? []);
  return {
    deployments: stories.length,
    endStates: tally(ended.map(({ state }) => state)),
    reasons: tally(ended.filter(({ state }) => state !== "live").map(({ reason }) => nameless(reason))),
    lost: stories.filter((story, index) => now[index]?.message !== story.version).map(({ id }) => id),
    stuck: stories.flatMap((story, index) => (story.ended === null ? [stuckAt(story, now[index])] : [])),
    twoLive: LINES.flatMap(({ project }) => twoLive(rows.filter((row) => projects.get(row.id) === project))),
    early: stories.flatMap((story, index) => earlyAnswers(story, now[index] ?? null, crowds)),
    kills: tally(kills.map(({ victim }) => victim)),
    backMs: Object.fromEntries(
      VICTIMS.map((victim) => [
        victim,
        summary(kills.filter((k) => k.victim === victim).map((k) => k.backAt - k.at)),
      ]),
    ),
    requests: crowds.reduce((sum, { seen }) => sum + seen.requests, 0),
    failed: tally(classes),
    unexpected: unexpected.slice(0, 20),
    longestAnswerMs: Math.max(...crowds.map(({ seen }) => seen.longestMs)),
  };
}

/** What became of one that did not settle in time: where it stood, and since when in each state. */
function stuckAt({ id, line }: Story, row: Deployment | null | undefined): string {
  const phases = row?.phases.map(({ state, at }) => `${state} ${at}`).join(", ");
  return `${id} of ${line.project} is ${row?.state}: ${row?.reason ?? "no reason"}; it was ${phases}`;
}

/** Answers of a version before its row said that traffic moves to it. */
function earlyAnswers(
  { version }: Story,
  row: Parameters<typeof enteredAt>[0] | null,
  crowds: readonly Visitors[],
): string[] {
  const firstAnswer = crowds.flatMap(({ seen }) => seen.firstAnswer.get(version) ?? [])[0];
  const shiftedAt = row && enteredAt(row, "shifting");
  if (firstAnswer === undefined || (shiftedAt !== null && firstAnswer >= shiftedAt)) return [];
  return [`${version} answered at ${firstAnswer}, but its traffic was to begin at ${shiftedAt}`];
}

const nameless = (reason: string | null) => (reason ?? "no reason").replace(/\b(dep|dpl)_\w+/g, "$1_…");
