import type { Readable } from "node:stream";
import { deploymentsCancelDeployment } from "@vercel/sdk/funcs/deploymentsCancelDeployment.js";
import { deploymentsDeleteDeployment } from "@vercel/sdk/funcs/deploymentsDeleteDeployment.js";
import { deploymentsGetDeployment } from "@vercel/sdk/funcs/deploymentsGetDeployment.js";
import { userGetAuthUser } from "@vercel/sdk/funcs/userGetAuthUser.js";
import type { z } from "zod";
import type { OutsideView, Target, TargetDeployment } from "../../targets/target.ts";
import { abilities } from "./vercel-abilities.ts";
import { DeploymentAnswer } from "./vercel-answers.ts";
import { endTwins, KEY_FIELD, startBuild } from "./vercel-build.ts";
import {
  createVercelClient,
  scopeOf,
  type VercelClient,
  type VercelDeps,
  type VercelOptions,
} from "./vercel-client.ts";
import { rememberDomains } from "./vercel-domains.ts";
import { isRefusal, readAnswer, unlessStatus } from "./vercel-failures.ts";
import { hold, unhold } from "./vercel-hold.ts";
import { hostOf } from "./vercel-hosts.ts";
import { readLogs } from "./vercel-logs.ts";
import { outsideView } from "./vercel-outside.ts";
import { ensureProject } from "./vercel-projects.ts";
import { rememberBypass } from "./vercel-protection.ts";
import { shiftTraffic } from "./vercel-shift.ts";
import { stateOf } from "./vercel-state.ts";
import { readTraffic, rollBack, vacate } from "./vercel-traffic.ts";

export type { VercelOptions } from "./vercel-client.ts";

/** Slowest upload that is still waited for, beyond a minute for the first byte. */
const UPLOAD_BYTES_PER_MS = 50;

export type VercelTarget = Target & {
  /** What others do there. */
  readonly outside: OutsideView;
  /** Rejects when the API does not answer, or not with this token. For readiness: one attempt, 5 s. */
  ping(signal: AbortSignal): Promise<void>;
};

const PING_DEADLINE_MS = 5_000;

/** Vercel, or the dock, which speaks the same API: the port `Target` over `@vercel/sdk`. */
export function createVercelTarget(deps: VercelDeps, options: VercelOptions): VercelTarget {
  const client = createVercelClient(deps, options);
  const domains = rememberDomains(client);
  const settled = new Set<string>();
  const publicUrl = (host: string) => {
    const port = options.publicPort === null ? "" : `:${options.publicPort}`;
    return `${options.publicScheme}://${host}${port}`;
  };
  return {
    name: "vercel",
    outside: outsideView(client, domains, publicUrl),
    ensureProject: (name, signal, platform) => ensureProject(client, name, signal, platform),
    upload: (file, signal) => upload(client, file, signal),
    build: (input, signal) => startBuild(client, input, signal),
    observe: (id, signal) => observe({ client, publicUrl, settled }, id, signal),
    logs: (id, signal) => readLogs(client, id, signal),
    cancel: (id, signal) => cancel(client, id, signal),
    hosts: (place) => [hostOf(place, options.domain)],
    domains,
    publicUrl,
    probeHeaders: rememberBypass(client),
    // The dock's canary is met by a header, which is for people; its own address is asked anyway.
    canaryAt: (url) => (options.domain === "localhost" ? null : { url: withCanary(url) }),
    abilities: (place, signal) => abilities(client, place, signal),
    traffic: (place, signal) => readTraffic(client, domains, place, signal),
    shift: (change, signal) => shiftTraffic(client, domains, change, signal),
    rollback: (change, signal) => rollBack(client, domains, change, signal),
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

/** Source: what public delivery scripts use; Vercel's own pages name the parameter, and no header or cookie. */
function withCanary(publicUrl: string): string {
  const url = new URL(publicUrl);
  url.searchParams.set("vcrrForceCanary", "true");
  return url.href;
}

/** Forgotten, a deployment's twins are only looked for again. */
const MOST_SETTLED = 1_000;

type Observing = {
  readonly client: VercelClient;
  readonly publicUrl: (host: string) => string;
  /** Those whose twins were looked for. */
  readonly settled: Set<string>;
};

async function observe(
  { client, publicUrl, settled }: Observing,
  idOrUrl: string,
  signal: AbortSignal,
): Promise<TargetDeployment> {
  const answer = await client.sdk(
    (core, options) => deploymentsGetDeployment(core, { idOrUrl, ...scopeOf(client) }, options),
    { signal, read: true },
  );
  const deployment = readAnswer(DeploymentAnswer, answer);
  const { id, projectId } = deployment;
  const state = stateOf(deployment.readyState);
  const key = deployment.meta?.[KEY_FIELD];
  if (state === "ready" && typeof key === "string" && projectId && !settled.has(id)) {
    // A token that may not end deployments leaves the twins; what is built is built all the same.
    await endTwins(client, { id, targetProjectId: projectId, key }, signal).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
    });
    if (settled.size >= MOST_SETTLED) settled.clear();
    settled.add(id);
  }
  return {
    id,
    state,
    url: publicUrl(deployment.url ?? ""),
    error: state === "error" ? errorOf(deployment) : null,
    reused: deployment.dock?.reused ?? deployment.buildSkipped === true,
    buildStartedAt: deployment.buildingAt ? new Date(deployment.buildingAt) : null,
    kind: deployment.dock?.kind ?? "unknown",
  };
}

function errorOf(deployment: z.infer<typeof DeploymentAnswer>): { code: string; message: string } {
  const said = deployment.errorMessage ?? "The platform reported an error and no reason.";
  const inspect = deployment.inspectorUrl ? ` See ${deployment.inspectorUrl}.` : "";
  return { code: deployment.errorCode ?? "unknown", message: said + inspect };
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
