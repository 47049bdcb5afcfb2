import { parseArgs } from "node:util";
import pc from "picocolors";
import type { Instance } from "../bench/support/instance.ts";
import type { Load } from "../bench/support/load.ts";
import { machineMs } from "../bench/support/machine-clock.ts";
import { messageOf } from "../src/foundation/errors.ts";
import {
  byHand,
  canary,
  endTraffic,
  makeRepository,
  openEverywhere,
  type Stage,
  startTraffic,
  turnsBad,
} from "./demo/acts.ts";
import { askAColleague, blueGreen, inviteReviewer } from "./demo/approval.ts";
import { migrate } from "./demo/migration.ts";
import { previewOfABranch } from "./demo/preview.ts";
import { STATE, setTheStage } from "./demo/stage.ts";
import { count, createStory, duration } from "./demo/story.ts";

const { values: flags } = parseArgs({
  options: { exit: { type: "boolean", default: false }, json: { type: "boolean", default: false } },
});

type Figures = {
  deployMs: number;
  cachedDeployMs: number;
  initiationMs: number;
  rollbackMs: number;
  autoRollbackMs: number;
  requests: number;
  failedRequests: number;
};

// With --json, stdout carries the figures alone.
const stream = flags.json ? process.stderr : process.stdout;
const story = createStory((text) => stream.write(text), stream.isTTY === true && pc.isColorSupported);
let instance: Instance | null = null;

let interrupted = false;
process.on("SIGINT", () => {
  // The terminal and the script that started this one may both pass the same Ctrl-C on.
  if (!interrupted) void leaveEarly();
  interrupted = true;
});

try {
  story.title("Signalbox: a commit goes live, and comes back when it must");
  instance = await start();
  const figures = await play(instance);
  tellTable(figures);
  if (flags.exit) await stop(instance);
  else tellWhatIsLeft(instance);
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  process.exitCode = figures.failedRequests === 0 ? 0 : 1;
} catch (error) {
  story.bad(messageOf(error));
  if (instance && flags.exit) await stop(instance);
  else if (instance) tellWhatIsLeft(instance);
  process.exitCode = 1;
}
await instance?.api.close().catch(() => undefined);

async function leaveEarly(): Promise<void> {
  story.bad("Interrupted.");
  if (instance && flags.exit) await stop(instance);
  else if (instance) tellWhatIsLeft(instance);
  process.exit(130);
}

async function start(): Promise<Instance> {
  story.act("Start: Postgres, control plane, dock and gateway");
  const startedAt = machineMs();
  const started = await setTheStage(story, { leaveRunning: !flags.exit });
  story.good(`Up after ${duration(machineMs() - startedAt)}: ${started.url} (gateway ${started.gatewayUrl})`);
  return started;
}

async function play(running: Instance): Promise<Figures> {
  story.act("The first commit: preview, staging, production");
  const repository = await makeRepository(running, story);
  const stage: Stage = { instance: running, repository, story };
  const { commit: first, ...deployed } = await openEverywhere(stage);
  story.act("Visitors come");
  const load = await startTraffic(stage);
  try {
    story.act("The second commit, by canary: 25 %, 50 %, everyone");
    const second = await canary(stage, load, first);
    story.act("The third commit passes every check, takes traffic, and turns bad");
    const autoRollbackMs = await turnsBad(stage, load, second);
    story.act(`A person takes v${second.version} back, by hand`);
    const rollbackMs = await byHand(stage, load, second, first);
    story.act("A branch gets a preview of its own, for as long as it lives");
    await previewOfABranch(stage);
    story.act("The fourth commit asks a second person");
    const reviewer = await inviteReviewer(stage);
    const approved = await askAColleague(stage, reviewer);
    story.act("Approved, it takes over at once: blue-green");
    const fourth = await blueGreen(stage, load, approved, first);
    story.act("The fifth commit changes the database, while people shop");
    await migrate(stage, load, fourth, reviewer);
    story.act("The visitors go home");
    const { requests, failedRequests } = await endTraffic(stage, load);
    return rounded({ ...deployed, rollbackMs, autoRollbackMs, requests, failedRequests });
  } catch (error) {
    await abandon(load);
    throw error;
  }
}

/** Ends the load after a failed act, and says what its visitors met: it may be the reason. */
async function abandon(load: Load): Promise<void> {
  await load.stop();
  for (const failure of load.failures().slice(0, 5)) story.quote(failure);
}

function rounded(figures: Figures): Figures {
  const entries = Object.entries(figures).map(([name, value]) => [name, Math.round(value * 10) / 10]);
  return { ...figures, ...Object.fromEntries(entries) };
}

function tellTable(figures: Figures): void {
  story.table([
    ["First deploy to production, from nothing", duration(figures.deployMs)],
    ["The unchanged tree again (1 s of it proves its health)", duration(figures.cachedDeployMs)],
    ["Trigger accepted → build started", duration(figures.initiationMs)],
    ["Rollback by hand: call → last answer of the old release", duration(figures.rollbackMs)],
    ["Automatic rollback: first failing health → last answer", duration(figures.autoRollbackMs)],
    ["Requests meanwhile", count(figures.requests)],
    ["Failed requests", count(figures.failedRequests)],
  ]);
}

async function stop(running: Instance): Promise<void> {
  story.command("npx signalbox down");
  await running.stop();
  story.good("Everything is stopped.");
}

function tellWhatIsLeft({ url, gatewayPort }: Instance): void {
  const shop = (suffix: string) => `http://storefront${suffix}.localhost:${gatewayPort}`;
  story.title("Left running");
  story.list([
    ["The shop", shop("")],
    ["  on staging", shop("-staging")],
    ["  the preview of main", shop("-git-main")],
    ["The API", `${url}/api/openapi.json`],
    ["What was deployed", "npx signalbox list"],
    ["To stop it", `SIGNALBOX_DIR=${STATE} npx signalbox down`],
  ]);
}
