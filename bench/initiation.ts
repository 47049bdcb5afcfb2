import { systemClock } from "../src/foundation/clock.ts";
import { type Api, assertLive } from "./support/api.ts";
import { withInstance } from "./support/instance.ts";
import type { BenchResult } from "./support/result.ts";
import { round, summary } from "./support/statistics.ts";
import { sourceFile } from "./support/tree.ts";

const ROUNDS = 50;
const TARGET_MS = 300;
const PROJECT = "initiation";

const CONFIG = `name: ${PROJECT}
build:
  command: node --version
  output: public
`;

/**
 * From "accepted" (the deployment's `createdAt`, written before the 202 is sent) to the first command of its build,
 * by the log. Every round is a new tree: nothing can be reused.
 */
export async function run(): Promise<BenchResult> {
  return withInstance(async ({ api }) => {
    await api.createProject(PROJECT);
    await initiate(api, "warm-up");
    const samples: number[] = [];
    for (let index = 0; index < ROUNDS; index++) samples.push(await initiate(api, `round ${index}`));
    const { p50, p95, p99, max } = summary(samples);
    return {
      name: "initiation",
      unit: "ms, trigger accepted → build started, p99",
      ours: p99,
      peers: {},
      ratios: {},
      target: `p99 of ${ROUNDS} ≤ ${TARGET_MS} ms`,
      pass: p99 <= TARGET_MS,
      p50,
      p95,
      max,
    };
  });
}

async function initiate(api: Api, text: string): Promise<number> {
  const page = sourceFile(
    "public/index.html",
    `<!doctype html><title>${text}, ${systemClock.now().toISOString()}</title>`,
  );
  const { tree } = await api.sendTree(PROJECT, [sourceFile("signalbox.yaml", CONFIG), page]);
  const { deploymentId } = await api.trigger({
    environment: "preview",
    project: PROJECT,
    branch: "main",
    source: { tree },
  });
  const deployment = assertLive(await api.waitFor(deploymentId));
  const { logs } = await api.status(deploymentId);
  const firstCommand = logs.find((line) => line.stream === "command");
  if (!firstCommand)
    throw new Error(`The build of ${deploymentId} logged no command: ${JSON.stringify(logs)}`);
  return round(Date.parse(firstCommand.at) - Date.parse(deployment.createdAt));
}
