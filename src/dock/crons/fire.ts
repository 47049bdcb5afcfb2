import { request } from "node:http";
import { messageOf } from "../../foundation/errors.ts";
import { openEnv } from "../deployments/variables-of.ts";
import type { Dock } from "../dock.ts";
import { structuredLine } from "../logs/entry.ts";
import { productionOf } from "../traffic/snapshot.ts";
import type { CronDefinition } from "./schedule.ts";

/** As long as Vercel lets a function run at most. Source: vercel.com/docs/functions/limitations. */
const LONGEST_MS = 800_000;

/** The jobs of what serves production of a project now, and where they are sent. */
export function cronsOf(
  dock: Dock,
  projectId: string,
): { host: string; deploymentId: string; definitions: readonly CronDefinition[] } | null {
  const production = productionOf(dock.traffic.state, projectId);
  if (!production) return null;
  const { host, deploymentId } = production;
  const release = dock.traffic.state.releases.get(deploymentId);
  // Files alone have nothing that could run.
  if (!release?.socket || !release.crons?.length) return null;
  return { host, deploymentId, definitions: release.crons };
}

/**
 * Sends one request of a job to the deployment's process and writes its result into the runtime log. Never throws: a
 * job that fails is its owner's to see there.
 */
export async function fireCron(
  dock: Dock,
  job: { readonly host: string; readonly deploymentId: string; readonly cron: CronDefinition },
  signal: AbortSignal,
): Promise<void> {
  const { host, deploymentId, cron } = job;
  const { clock, runner } = dock;
  const requestId = dock.ids("cron");
  const began = clock.monotonicMs();
  const at = clock.now().getTime();
  let status = 0;
  let outcome: string;
  try {
    const secret = await secretOf(dock, deploymentId);
    status = await dock.keeper.withUp([deploymentId], () =>
      send({ socketPath: runner.socketPath(deploymentId), path: cron.path, host, secret, signal }),
    );
    outcome = `answered ${status}`;
  } catch (error) {
    outcome = `failed: ${messageOf(error)}`;
  }
  const took = Math.round(clock.monotonicMs() - began);
  const line = structuredLine({
    at,
    level: status >= 200 && status < 400 ? "info" : "error",
    source: "serverless",
    requestId,
    method: "GET",
    host,
    path: cron.path,
    status,
    message: `The cron job ${cron.path} (${cron.schedule}) ${outcome} after ${took} ms.`,
  });
  await runner.note(deploymentId, line).catch((error) => {
    dock.log.warn({ err: error, deploymentId }, "the result of a cron job could not be logged");
  });
}

async function secretOf(dock: Dock, deploymentId: string): Promise<string | null> {
  const row = await dock.db
    .selectFrom("deployments")
    .select("env")
    .where("id", "=", deploymentId)
    .executeTakeFirstOrThrow();
  return openEnv(dock, deploymentId, row.env).run.CRON_SECRET || null;
}

/** Resolves with the status once the answer has ended: what the job does may still go on until then. */
function send(options: {
  socketPath: string;
  path: string;
  host: string;
  secret: string | null;
  signal: AbortSignal;
}): Promise<number> {
  const { socketPath, path, host, secret } = options;
  const headers = {
    host,
    "user-agent": "vercel-cron/1.0",
    "x-forwarded-host": host,
    "x-forwarded-proto": "https",
    ...(secret === null ? {} : { authorization: `Bearer ${secret}` }),
  };
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(LONGEST_MS)]);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const sent = request({ socketPath, path, headers, signal, agent: false }, (response) => {
    response.resume();
    response.on("end", () => resolve(response.statusCode ?? 0));
    response.on("error", reject);
  });
  sent.on("error", reject);
  sent.end();
  return promise;
}
