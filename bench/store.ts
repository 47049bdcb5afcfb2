import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../src/foundation/errors.ts";
import type { Api, TriggerRequest } from "./support/api.ts";
import { type Instance, withInstance } from "./support/instance.ts";
import { pidOf } from "./support/pid-of.ts";
import type { BenchResult } from "./support/result.ts";
import { summary } from "./support/statistics.ts";
import { sourceFile } from "./support/tree.ts";

const ROUNDS = 20;
const WRITERS = 4;
const PROJECT = "store";
/** Writers get this long at most before the kill. */
const KILL_WITHIN_MS = 1_500;
const RECOVER_WITHIN_MS = 60_000;

/** What a client was promised: this key and request became this deployment. */
type Acknowledged = { key: string; request: TriggerRequest; deploymentId: string };
type Recovery = Record<"control" | "postgres", number[]>;
type Written = { acknowledged: Acknowledged[]; refused: number; lastRefusal: string };

/**
 * Writers trigger deployments without a pause while `control` and `postgres` are killed in turn, each at a random
 * moment. Afterwards every 202 that a client holds is compared with what the API knows.
 */
export async function run(): Promise<BenchResult> {
  return withInstance(async (instance) => {
    const { api } = instance;
    await api.createProject(PROJECT);
    const { tree } = await api.sendTree(PROJECT, [
      sourceFile("index.html", "<!doctype html><title>store</title>"),
    ]);
    const record: Written = { acknowledged: [], refused: 0, lastRefusal: "none" };
    const recoveryMs: Recovery = { control: [], postgres: [] };
    for (let round = 0; round < ROUNDS; round++) {
      const victim = round % 2 === 0 ? "control" : "postgres";
      recoveryMs[victim].push(await killUnderWrites(instance, victim, tree, record));
    }
    const { lost, forked } = await compare(api, record.acknowledged);
    return {
      name: "store",
      unit: "acknowledged writes lost",
      ours: lost.length,
      peers: {},
      ratios: {},
      target: `0 lost in ${ROUNDS} rounds of kill -9`,
      pass: lost.length === 0 && forked.length === 0 && record.acknowledged.length > 0,
      acknowledged: record.acknowledged.length,
      refusedWhileDown: record.refused,
      /** Keys whose repetition gave another deployment than the first answer named. */
      answeredTwice: forked.length,
      lost: lost.slice(0, 20),
      /** From the kill until writes are taken again. Kills in a row meet the supervisor's restart backoff. */
      recoveryMs: { control: summary(recoveryMs.control), postgres: summary(recoveryMs.postgres) },
    };
  });
}

/** Returns how long writes were not possible. */
async function killUnderWrites(
  instance: Instance,
  victim: "control" | "postgres",
  tree: string,
  record: Written,
) {
  const stopping = new AbortController();
  const before = record.acknowledged.length;
  const writers = Array.from({ length: WRITERS }, (_, index) =>
    write(instance.api, `writer-${index}`, tree, record, stopping.signal),
  );
  try {
    await acknowledgedAtLeast(before + WRITERS, record);
    await sleep(randomInt(KILL_WITHIN_MS));
    process.kill(await pidOf(instance.dir, victim), "SIGKILL");
    const killedAt = performance.now();
    const promised = record.acknowledged.length;
    // Answers that were on their way may still arrive, one a writer; more can only come from what was started again.
    await acknowledgedAtLeast(promised + 2 * WRITERS, record);
    return performance.now() - killedAt;
  } finally {
    stopping.abort();
    await Promise.all(writers);
  }
}

async function write(
  api: Api,
  branch: string,
  tree: string,
  record: Written,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const key = randomUUID();
    const request: TriggerRequest = {
      environment: "preview",
      project: PROJECT,
      branch,
      message: key,
      source: { tree },
    };
    try {
      const { deploymentId } = await api.trigger(request, key);
      record.acknowledged.push({ key, request, deploymentId });
    } catch (error) {
      // Refused, or cut off before an answer: nothing was promised.
      record.refused += 1;
      record.lastRefusal = messageOf(error);
      await sleep(50);
    }
  }
}

/** Throws when writes are not taken any more: an instance that never recovers is a result too, not a wait. */
async function acknowledgedAtLeast(count: number, record: Written): Promise<void> {
  const giveUpAt = performance.now() + RECOVER_WITHIN_MS;
  while (record.acknowledged.length < count) {
    if (performance.now() > giveUpAt) {
      throw new Error(`No write was taken for ${RECOVER_WITHIN_MS} ms. Last refusal: ${record.lastRefusal}`);
    }
    await sleep(5);
  }
}

/** Each promise must still be there, with its content, and the same key must still give the same answer. */
async function compare(api: Api, acknowledged: readonly Acknowledged[]) {
  const lost: string[] = [];
  const forked: string[] = [];
  for (const { key, request, deploymentId } of acknowledged) {
    const deployment = await api.status(deploymentId, Number.MAX_SAFE_INTEGER).then(
      (status) => status.deployment,
      () => null,
    );
    if (deployment?.message !== request.message || deployment?.branch !== request.branch)
      lost.push(deploymentId);
    const repeated = await api.trigger(request, key);
    if (repeated.deploymentId !== deploymentId) forked.push(deploymentId);
  }
  return { lost, forked };
}
