import { setTimeout as sleep } from "node:timers/promises";
import { type Deployment, isTerminal } from "../../bench/support/api.ts";
import type { Instance } from "../../bench/support/instance.ts";
import { countByVersion } from "../../bench/support/judge.ts";
import type { Load } from "../../bench/support/load.ts";
import { machineMs } from "../../bench/support/machine-clock.ts";
import { getThroughGateway } from "../../bench/support/through-gateway.ts";
import { duration, type Story, shareBars } from "./story.ts";

const LOOK_EVERY_MS = 100;
const TELL_EVERY_MS = 1_000;
const BAR_CELLS = 24;

type Watched = { instance: Instance; load: Load; story: Story };

/** Follows a rollout until it has ended, telling every second, and whenever the weight moves, who answered. */
export async function watchRollout(
  { instance, load, story }: Watched,
  id: string,
  versions: readonly string[],
): Promise<Deployment> {
  let weight = 0;
  let told = machineMs();
  const tell = async () => {
    const counts = countByVersion(await load.take());
    // Before the first step everybody is on the old release, which is no news.
    if (weight > 0 && counts.size > 0) {
      story.say(`${`${weight} %`.padStart(5)}   ${shareBars(counts, versions, BAR_CELLS)}`);
    }
    told = machineMs();
  };
  for (;;) {
    const { deployment } = await instance.api.status(id, Number.MAX_SAFE_INTEGER);
    const ended = isTerminal(deployment);
    if (ended || deployment.weight !== weight || machineMs() - told >= TELL_EVERY_MS) await tell();
    if (weight === 0 && deployment.weight > 0) story.good(`Built and proven: ${phasesOf(deployment)}.`);
    weight = deployment.weight;
    if (ended) return deployment;
    await sleep(LOOK_EVERY_MS);
  }
}

/** "built in 3.1 s, healthy after 1.0 s" */
function phasesOf({ phases }: Deployment): string {
  const took = (state: string) => duration(phases.find((phase) => phase.state === state)?.durationMs ?? 0);
  return `built in ${took("building")}, healthy for ${took("verifying")}`;
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
