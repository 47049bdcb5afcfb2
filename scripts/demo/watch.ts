import { setTimeout as sleep } from "node:timers/promises";
import { type Deployment, isTerminal } from "../../bench/support/api.ts";
import type { Instance } from "../../bench/support/instance.ts";
import { countByVersion } from "../../bench/support/judge.ts";
import type { Load } from "../../bench/support/load.ts";
import { machineMs } from "../../bench/support/machine-clock.ts";
import { getThroughGateway } from "../../bench/support/through-gateway.ts";
import { type Story, shareBars } from "./story.ts";

const LOOK_EVERY_MS = 100;
const TELL_EVERY_MS = 1_000;
const BAR_CELLS = 24;

type Watched = { instance: Instance; load: Load; story: Story };

/** Follows a rollout until it has ended, telling every second who answered the visitors. */
export async function watchRollout(
  { instance, load, story }: Watched,
  id: string,
  versions: readonly string[],
): Promise<Deployment> {
  await load.take();
  let told = machineMs();
  let weight: number | null = null;
  for (;;) {
    const { deployment } = await instance.api.status(id, Number.MAX_SAFE_INTEGER);
    const moved = deployment.weight !== weight && (deployment.weight > 0 || weight !== null);
    const ended = isTerminal(deployment);
    if ((moved || ended || machineMs() - told >= TELL_EVERY_MS) && deployment.weight + (weight ?? 0) > 0) {
      const answers = countByVersion(await load.take());
      const share = `${weight ?? 0} %`.padStart(5);
      if (answers.size > 0) story.say(`${share}   ${shareBars(answers, versions, BAR_CELLS)}`);
      told = machineMs();
    }
    weight = deployment.weight;
    if (ended) return deployment;
    await sleep(LOOK_EVERY_MS);
  }
}

/**
 * Asks a release for its health, by the address that only it answers at, until it says no.
 * @returns when (`machineMs`) the first failing answer came, and its words; null when `signal` ended the waiting.
 */
export async function firstFailingHealth(
  deployment: Deployment,
  version: string,
  signal: AbortSignal,
): Promise<{ at: number; words: string } | null> {
  const addresses = [deployment.url, ...deployment.urls].filter((url) => url !== null);
  while (!signal.aborted) {
    for (const address of addresses) {
      const answer = await getThroughGateway(address, "/healthz");
      const isTheRelease = answer.headers["x-storefront-version"] === version;
      if (isTheRelease && answer.status >= 500) return { at: machineMs(), words: answer.body };
      if (isTheRelease) break;
    }
    await sleep(LOOK_EVERY_MS);
  }
  return null;
}
