import type { Readable } from "node:stream";
import { deploymentsCancelDeployment } from "@vercel/sdk/funcs/deploymentsCancelDeployment.js";
import { deploymentsDeleteDeployment } from "@vercel/sdk/funcs/deploymentsDeleteDeployment.js";
import { deploymentsGetDeployment } from "@vercel/sdk/funcs/deploymentsGetDeployment.js";
import { userGetAuthUser } from "@vercel/sdk/funcs/userGetAuthUser.js";
import type { z } from "zod";
import type { Clock } from "../../foundation/clock.ts";
import type { Target, TargetDeployment } from "../../targets/target.ts";
import { DeploymentAnswer } from "./vercel-answers.ts";
import { startBuild } from "./vercel-build.ts";
import { createVercelClient, scopeOf, type VercelClient, type VercelOptions } from "./vercel-client.ts";
import { unlessStatus } from "./vercel-failures.ts";
import { hold, unhold } from "./vercel-hold.ts";
import { hostOf } from "./vercel-hosts.ts";
import { readLogs } from "./vercel-logs.ts";
import { ensureProject } from "./vercel-projects.ts";
import { shiftTraffic } from "./vercel-shift.ts";
import { readTraffic, rollBack, vacate } from "./vercel-traffic.ts";

export type { VercelOptions } from "./vercel-client.ts";

/** Slowest upload that is still waited for, beyond a minute for the first byte. */
const UPLOAD_BYTES_PER_MS = 50;

export type VercelTarget = Target & {
  /** Rejects when the API does not answer, or not with this token. For readiness: one attempt, 5 s. */
  ping(signal: AbortSignal): Promise<void>;
};

const PING_DEADLINE_MS = 5_000;

/** Vercel, or the dock, which speaks the same API: the port `Target` over `@vercel/sdk`. */
export function createVercelTarget(deps: { clock: Clock }, options: VercelOptions): VercelTarget {
  const client = createVercelClient(deps, options);
  const publicUrl = (host: string) => {
    const port = options.publicPort === null ? "" : `:${options.publicPort}`;
    return `${options.publicScheme}://${host}${port}`;
  };
  return {
    name: "vercel",
    ensureProject: (name, signal) => ensureProject(client, name, signal),
    upload: (file, signal) => upload(client, file, signal),
    build: (input, signal) => startBuild(client, input, signal),
    observe: (id, signal) => observe(client, id, publicUrl, signal),
    logs: (id, signal) => readLogs(client, id, signal),
    cancel: (id, signal) => cancel(client, id, signal),
    hosts: (place) => [hostOf(place, options.domain)],
    publicUrl,
    traffic: (place, signal) => readTraffic(client, place, signal),
    shift: (change, signal) => shiftTraffic(client, change, signal),
    rollback: (change, signal) => rollBack(client, change, signal),
    hold: (place, limits, signal) => hold(client, place, limits, signal),
    unhold: (place, signal) => unhold(client, place, signal),
    vacate: (place, signal) => vacate(client, place, signal),
    retire: (id, signal) => retire(client, id, signal),
    ping: async (signal) => {
      const limits = { signal, deadlineMs: PING_DEADLINE_MS };
      await client.sdk((core, sdkOptions) => userGetAuthUser(core, sdkOptions), limits);
    },
  };
}

async function upload(
  client: VercelClient,
  file: { sha1: string; size: number; body: Readable },
  signal: AbortSignal,
): Promise<void> {
  const headers = {
    "content-type": "application/octet-stream",
    "content-length": String(file.size),
    "x-vercel-digest": file.sha1,
    "x-now-digest": file.sha1,
    "x-now-size": String(file.size),
  };
  await client.upload(
    { path: "/v2/files", headers, body: file.body },
    { signal, deadlineMs: 60_000 + Math.ceil(file.size / UPLOAD_BYTES_PER_MS) },
  );
}

async function observe(
  client: VercelClient,
  idOrUrl: string,
  publicUrl: (host: string) => string,
  signal: AbortSignal,
): Promise<TargetDeployment> {
  const answer = await client.sdk(
    (core, options) => deploymentsGetDeployment(core, { idOrUrl, ...scopeOf(client) }, options),
    { signal, read: true },
  );
  const deployment = DeploymentAnswer.parse(answer.body);
  const state = stateOf(deployment.readyState);
  return {
    id: deployment.id,
    state,
    url: publicUrl(deployment.url ?? ""),
    error: state === "error" ? errorOf(deployment) : null,
    reused: deployment.dock?.reused ?? deployment.buildSkipped === true,
    buildStartedAt: deployment.buildingAt ? new Date(deployment.buildingAt) : null,
    kind: deployment.dock?.kind ?? "unknown",
  };
}

function stateOf(readyState: string): TargetDeployment["state"] {
  switch (readyState) {
    case "QUEUED":
    case "BLOCKED":
      return "queued";
    case "READY":
      return "ready";
    case "ERROR":
      return "error";
    case "CANCELED":
    case "DELETED":
      return "canceled";
    default:
      // INITIALIZING, ANALYZING, BUILDING, DEPLOYING, and whatever the platform adds: on its way.
      return "building";
  }
}

function errorOf(deployment: z.infer<typeof DeploymentAnswer>): { code: string; message: string } {
  return {
    code: deployment.errorCode ?? "unknown",
    message: deployment.errorMessage ?? "The platform reported an error and no reason.",
  };
}

/** A build that has ended already (400, 409) or is gone (404) needs no cancelling. */
async function cancel(client: VercelClient, id: string, signal: AbortSignal): Promise<void> {
  const request = { id, ...scopeOf(client) };
  await unlessStatus(
    [400, 404, 409, 410],
    () => client.sdk((core, options) => deploymentsCancelDeployment(core, request, options), { signal }),
    null,
  );
}

/** Gone already (404), or still in use (409), which the platform knows best: both are fine. */
async function retire(client: VercelClient, id: string, signal: AbortSignal): Promise<void> {
  const request = { id, ...scopeOf(client) };
  await unlessStatus(
    [404, 409, 410],
    () => client.sdk((core, options) => deploymentsDeleteDeployment(core, request, options), { signal }),
    null,
  );
}
