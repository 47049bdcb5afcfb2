import { webhooksCreateWebhook } from "@vercel/sdk/funcs/webhooksCreateWebhook.js";
import { webhooksDeleteWebhook } from "@vercel/sdk/funcs/webhooksDeleteWebhook.js";
import { AppError } from "../../foundation/errors.ts";
import type { ListedDeployment, OutsideView, Place, PlatformState } from "../../targets/target.ts";
import { DeploymentsAnswer, type ListedAnswer, type ProjectAnswer, WebhookAnswer } from "./vercel-answers.ts";
import { finishInterrupted, isPinned, unpin } from "./vercel-auto-assign.ts";
import { KEY_FIELD } from "./vercel-build.ts";
import { report } from "./vercel-checks.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import type { Domains } from "./vercel-domains.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";
import { readProject } from "./vercel-projects.ts";
import { restoreTemplate } from "./vercel-release-template.ts";
import { stateOf } from "./vercel-state.ts";
import { readAliasOwner, readRelease } from "./vercel-traffic.ts";

/** What there is to tell of more deployments than these is old. */
const NEWEST = 20;
/** A rolling release that was to begin has begun by then. */
const STARTED_MS = 120_000;

/** What happens at Vercel beside us: in its dashboard, by its CLI, through its Git integration. */
export function outsideView(
  client: VercelClient,
  domains: Domains,
  publicUrl: (host: string) => string,
): OutsideView {
  return {
    inspect: async (place, signal) => {
      const { listed, ...state } = await inspect(client, domains, place, signal);
      return { ...state, deployments: listed.map((each) => toListed(each, publicUrl)) };
    },
    tidyUp: (place, signal) => tidyUp(client, place, signal),
    createWebhook: (input, signal) => createWebhook(client, input, signal),
    deleteWebhook: async (id, signal) => {
      const request = { id, ...scopeOf(client) };
      const remove = () =>
        client.sdk((core, options) => webhooksDeleteWebhook(core, request, options), { signal });
      await unlessStatus([404], remove, null);
    },
    report: (targetProjectId, verdict, signal) => report(client, targetProjectId, verdict, signal),
    unpin: (place, signal) => unpin(client, place, signal),
  };
}

async function inspect(
  client: VercelClient,
  domains: Domains,
  place: Place,
  signal: AbortSignal,
): Promise<Omit<PlatformState, "deployments"> & { readonly listed: readonly ListedAnswer[] }> {
  const { targetProjectId } = place;
  const list = { projectId: targetProjectId, limit: String(NEWEST) };
  const [project, production, release, listed, memory] = await Promise.all([
    readProject(client, targetProjectId, signal),
    domains(place, signal).then(([main = ""]) => readAliasOwner(client, main, signal)),
    readRelease(client, place, signal),
    client.json({ method: "GET", path: "/v7/deployments", query: list }, { signal, read: true }),
    client.memory.read(targetProjectId),
  ]);
  if (project === null) {
    throw new AppError("not_found", `There is no project ${targetProjectId} at the target any more.`, {
      hint: "The next deployment makes it anew.",
    });
  }
  return {
    production,
    lastMove: moveOf(project),
    pinned: isPinned(project),
    autoAssign: project.autoAssignCustomDomains ?? null,
    teamAutoAssign: memory.autoAssign,
    rolling: release && { canary: release.canary, percent: release.percent },
    paused: project.paused === true,
    listed: readAnswer(DeploymentsAnswer, listed).deployments,
  };
}

function moveOf({ lastAliasRequest }: ProjectAnswer): PlatformState["lastMove"] {
  const { type, toDeploymentId, fromDeploymentId, requestedAt, jobStatus } = lastAliasRequest ?? {};
  if ((type !== "promote" && type !== "rollback") || !toDeploymentId) return null;
  return {
    kind: type,
    from: fromDeploymentId ?? null,
    to: toDeploymentId,
    at: requestedAt === undefined ? null : new Date(requestedAt),
    failed: jobStatus === "failed",
  };
}

function toListed(each: ListedAnswer, publicUrl: (host: string) => string): ListedDeployment {
  const text = (name: string) => (typeof each.meta?.[name] === "string" ? String(each.meta[name]) : null);
  return {
    id: each.uid,
    ours: text(KEY_FIELD) !== null,
    state: stateOf(each.readyState ?? each.state ?? ""),
    environment: each.target === "production" ? "production" : "preview",
    // The dock's has another scheme and a port: our gate would else probe what nobody serves.
    url: each.url ? publicUrl(each.url) : "",
    createdAt: new Date(each.created ?? 0),
    by: each.creator?.username ?? each.creator?.email ?? null,
    commit: text("githubCommitSha") ?? text("gitlabCommitSha") ?? text("bitbucketCommitSha"),
    branch: text("githubCommitRef") ?? text("gitlabCommitRef") ?? text("bitbucketCommitRef"),
    error: each.errorMessage ?? null,
    inspectorUrl: each.inspectorUrl ?? null,
  };
}

async function tidyUp(client: VercelClient, place: Place, signal: AbortSignal): Promise<void> {
  await finishInterrupted(client, place, signal);
  const { rolling } = await client.memory.read(place.targetProjectId);
  if (rolling === null || client.clock.now().getTime() - rolling.atMs < STARTED_MS) return;
  if ((await readRelease(client, place, signal)) === null) await restoreTemplate(client, place, signal);
}

/** What is told: whatever changes who serves, and what failed. */
const EVENTS = [
  "deployment.created",
  "deployment.ready",
  "deployment.succeeded",
  "deployment.error",
  "deployment.canceled",
  "deployment.promoted",
  "deployment.rollback",
  "project.rolling-release.started",
  "project.rolling-release.approved",
  "project.rolling-release.completed",
  "project.rolling-release.aborted",
] as const;

async function createWebhook(
  client: VercelClient,
  { targetProjectIds, url }: { readonly targetProjectIds: readonly string[]; readonly url: string },
  signal: AbortSignal,
): Promise<{ id: string; secret: string } | "unsupported"> {
  const requestBody = { url, events: [...EVENTS], projectIds: [...targetProjectIds] };
  const request = { ...scopeOf(client), requestBody };
  // Webhooks of an account come with Pro and Enterprise.
  const made = await unlessStatus(
    [402, 403, 404, 405],
    () => client.sdk((core, options) => webhooksCreateWebhook(core, request, options), { signal }),
    null,
  );
  if (made === null) return "unsupported";
  const { id, secret } = readAnswer(WebhookAnswer, made);
  client.keepSecret(secret);
  return { id, secret };
}
