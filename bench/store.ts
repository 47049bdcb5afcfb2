import { randomInt, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Api, TriggerRequest } from "./support/api.ts";
import { type Instance, withInstance } from "./support/instance.ts";
import { pidOf } from "./support/pid-of.ts";
import type { BenchResult } from "./support/result.ts";
import { sourceFile } from "./support/tree.ts";

const ROUNDS = 20;
const WRITERS = 4;
const PROJECT = "store";
const READY_WITHIN_MS = 30_000;

/** What a client was promised: this key and request became this deployment. */
type Acknowledged = { key: string; request: TriggerRequest; deploymentId: string };
type Record = { acknowledged: Acknowledged[]; refused: number };

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
    const record: Record = { acknowledged: [], refused: 0 };
    const recoveryMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      recoveryMs.push(
        await killUnderWrites(instance, round % 2 === 0 ? "control" : "postgres", tree, record),
      );
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
      worstRecoveryMs: Math.round(Math.max(...recoveryMs)),
    };
  });
}

/** Returns how long writes were not possible. */
async function killUnderWrites(
  instance: Instance,
  victim: "control" | "postgres",
  tree: string,
  record: Record,
) {
  const stopping = new AbortController();
  const before = record.acknowledged.length;
  const writers = Array.from({ length: WRITERS }, (_, index) =>
    write(instance.api, `writer-${index}`, tree, record, stopping.signal),
  );
  while (record.acknowledged.length < before + WRITERS) await sleep(5);
  await sleep(randomInt(250));
  process.kill(await pidOf(instance.dir, victim), "SIGKILL");
  const killedAt = performance.now();
  const promised = record.acknowledged.length;
  // An answer that was on its way may still arrive; the second batch can only come from what was started again.
  await sleep(100);
  await readyAgain(instance.api);
  while (record.acknowledged.length < promised + WRITERS) await sleep(5);
  const recoveredMs = performance.now() - killedAt;
  stopping.abort();
  await Promise.all(writers);
  return recoveredMs;
}

async function write(
  api: Api,
  branch: string,
  tree: string,
  record: Record,
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
    } catch {
      // Refused, or cut off before an answer: nothing was promised.
      record.refused += 1;
      await sleep(20);
    }
  }
}

async function readyAgain(api: Api): Promise<void> {
  const giveUpAt = performance.now() + READY_WITHIN_MS;
  for (;;) {
    if (await api.isReady().catch(() => false)) return;
    if (performance.now() > giveUpAt) throw new Error(`Not ready ${READY_WITHIN_MS} ms after a kill.`);
    await sleep(25);
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
