import { assertLive } from "./support/api.ts";
import { type Instance, withInstance } from "./support/instance.ts";
import { machineMs } from "./support/machine-clock.ts";
import type { BenchResult } from "./support/result.ts";
import { round, summary } from "./support/statistics.ts";
import { getThroughGateway } from "./support/through-gateway.ts";
import { type SourceFile, sourceFile } from "./support/tree.ts";

const FILES = 5_000;
const ROUNDS = 20;
const TARGET_MS = 1_000;
const PROJECT = "redeploy";

/** An unchanged static tree again: how long until it serves, and how many bytes of its files went over the wire. */
export async function run(): Promise<BenchResult> {
  const files = largeSite();
  return withInstance(async (instance) => {
    await instance.api.createProject(PROJECT);
    const first = await deploy(instance, files);
    const again = [];
    for (let index = 0; index < ROUNDS; index++) again.push(await deploy(instance, files));
    const serving = summary(again.map(({ servingMs }) => servingMs));
    const bytesSent = again.reduce((sum, deployed) => sum + deployed.bytesSent, 0);
    return {
      name: "redeploy",
      unit: "ms, trigger → serving, p95",
      ours: serving.p95,
      peers: {},
      ratios: {},
      target: `≤ ${TARGET_MS} ms for ${FILES} unchanged files, 0 file bytes sent`,
      pass: serving.p95 <= TARGET_MS && bytesSent === 0,
      p50: serving.p50,
      max: serving.max,
      rounds: ROUNDS,
      bytesSent,
      /** The comparison of digests that comes before the trigger. */
      manifest: summary(again.map(({ manifestMs }) => manifestMs)),
      firstDeploy: { ...first, manifestMs: round(first.manifestMs), servingMs: round(first.servingMs) },
    };
  });
}

async function deploy({ api, gatewayUrl }: Instance, files: readonly SourceFile[]) {
  const startedAt = machineMs();
  const { tree, bytesSent, filesSent } = await api.sendTree(PROJECT, files);
  const triggeredAt = machineMs();
  const { deploymentId } = await api.trigger({
    environment: "production",
    project: PROJECT,
    source: { tree },
  });
  const deployment = assertLive(await api.waitFor(deploymentId, undefined, 10));
  const publicUrl = deployment.urls[0] ?? deployment.url ?? gatewayUrl;
  const page = await getThroughGateway(publicUrl, `/${files[0]?.path}`);
  const servedBy = page.headers["x-signalbox-deployment"];
  if (servedBy !== undefined && servedBy !== deployment.targetDeploymentId) {
    throw new Error(
      `${publicUrl} is served by ${servedBy} after ${deployment.targetDeploymentId} became "live".`,
    );
  }
  if (page.status !== 200 || page.body !== files[0]?.body.toString()) {
    throw new Error(`${publicUrl} answered ${page.status} right after "live": ${page.body.slice(0, 200)}`);
  }
  const manifestMs = triggeredAt - startedAt;
  return { manifestMs, servingMs: machineMs() - triggeredAt, bytesSent, filesSent };
}

function largeSite(): SourceFile[] {
  const index = sourceFile("index.html", "<!doctype html><title>5,000 files</title>");
  const pages = Array.from({ length: FILES - 1 }, (_, number) =>
    sourceFile(
      `pages/${Math.floor(number / 100)}/${number}.html`,
      `<!doctype html><title>Page ${number}</title><p>${"All change, please. ".repeat(100)}</p>`,
    ),
  );
  return [index, ...pages];
}
