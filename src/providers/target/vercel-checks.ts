import { checksV2CreateDeploymentCheckRun } from "@vercel/sdk/funcs/checksV2CreateDeploymentCheckRun.js";
import { checksV2CreateProjectCheck } from "@vercel/sdk/funcs/checksV2CreateProjectCheck.js";
import { checksV2ListDeploymentCheckRuns } from "@vercel/sdk/funcs/checksV2ListDeploymentCheckRuns.js";
import { checksV2ListProjectChecks } from "@vercel/sdk/funcs/checksV2ListProjectChecks.js";
import { checksV2UpdateDeploymentCheckRun } from "@vercel/sdk/funcs/checksV2UpdateDeploymentCheckRun.js";
import type { CheckVerdict } from "../../targets/target.ts";
import { CheckRunsAnswer, ChecksAnswer, CreatedAnswer } from "./vercel-answers.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";

/** By this name the check is found again, also by a Signalbox that has lost its database. */
const CHECK_NAME = "Signalbox health gate";
/** Vercel gives up a run after so long. */
const TIMEOUT_S = 900;
/** Where checks v2 do not exist, or not in this plan: the project is not gated, and nothing else changes. */
const ABSENT = [402, 403, 404, 405];

/** Registers the check that holds a production deployment's domains until its run has succeeded. Idempotent. */
export async function ensureCheck(
  client: VercelClient,
  projectIdOrName: string,
  signal: AbortSignal,
): Promise<string | null> {
  const { checkId } = await client.memory.read(projectIdOrName);
  const scope = { projectIdOrName, ...scopeOf(client) };
  const listed = await unlessStatus(
    ABSENT,
    () =>
      client.sdk((core, options) => checksV2ListProjectChecks(core, scope, options), { signal, read: true }),
    null,
  );
  if (listed === null) return null;
  const { checks } = readAnswer(ChecksAnswer, listed);
  const existing = checks.find(({ id, name }) => id === checkId || name === CHECK_NAME)?.id;
  const id = existing ?? (await createCheck(client, projectIdOrName, signal));
  if (id !== null && id !== checkId) await client.memory.write(projectIdOrName, { checkId: id });
  return id;
}

async function createCheck(
  client: VercelClient,
  projectIdOrName: string,
  signal: AbortSignal,
): Promise<string | null> {
  const request = {
    projectIdOrName,
    ...scopeOf(client),
    requestBody: {
      name: CHECK_NAME,
      // Nobody at Vercel could start it again: who is asked is looked at by itself until it is decided.
      isRerequestable: false,
      requires: "deployment-url" as const,
      blocks: "deployment-alias" as const,
      targets: ["production"],
      timeout: TIMEOUT_S,
    },
  };
  const made = await unlessStatus(
    ABSENT,
    () => client.sdk((core, options) => checksV2CreateProjectCheck(core, request, options), { signal }),
    null,
  );
  return made === null ? null : readAnswer(CreatedAnswer, made).id;
}

/** Reports our verdict to the deployment's run of our check, which is begun where the platform has begun none. */
export async function report(
  client: VercelClient,
  targetProjectId: string,
  verdict: CheckVerdict,
  signal: AbortSignal,
): Promise<void> {
  const { checkId } = await client.memory.read(targetProjectId);
  if (checkId === null) return;
  const run = await runOf(client, verdict.targetDeploymentId, checkId, signal);
  const { targetDeploymentId, state, text, detailsUrl } = verdict;
  const conclusion = state === "failed" ? ("failed" as const) : ("succeeded" as const);
  if (
    run === null ||
    (run.status === "completed" && (state === "running" || run.conclusion === conclusion))
  ) {
    return;
  }
  const ended = {
    status: "completed" as const,
    conclusion,
    completedAt: client.clock.now().getTime(),
  };
  const request = {
    deploymentId: targetDeploymentId,
    checkRunId: run.id,
    ...scopeOf(client),
    requestBody: {
      ...(state === "running" ? { status: "running" as const } : ended),
      conclusionText: text.slice(0, 500),
      ...(detailsUrl === null ? {} : { externalUrl: detailsUrl }),
    },
  };
  const update = () =>
    client.sdk((core, options) => checksV2UpdateDeploymentCheckRun(core, request, options), { signal });
  await unlessStatus([404, 409], update, null);
}

async function runOf(
  client: VercelClient,
  deploymentId: string,
  checkId: string,
  signal: AbortSignal,
): Promise<{
  id: string;
  status?: string | null | undefined;
  conclusion?: string | null | undefined;
} | null> {
  const scope = { deploymentId, ...scopeOf(client) };
  const listed = await unlessStatus(
    ABSENT,
    () =>
      client.sdk((core, options) => checksV2ListDeploymentCheckRuns(core, scope, options), {
        signal,
        read: true,
      }),
    null,
  );
  if (listed === null) return null;
  const own = readAnswer(CheckRunsAnswer, listed).runs.filter((run) => run.checkId === checkId);
  // One that was begun again is the one that holds the domains.
  const existing = own.find(({ status }) => status !== "completed") ?? own[0];
  if (existing) return existing;
  const request = { ...scope, requestBody: { checkId } };
  const made = await unlessStatus(
    [400, ...ABSENT],
    () => client.sdk((core, options) => checksV2CreateDeploymentCheckRun(core, request, options), { signal }),
    null,
  );
  return made === null ? null : readAnswer(CreatedAnswer, made);
}
