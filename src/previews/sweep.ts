import { createHash } from "node:crypto";
import { type Actor, audit, systemActor } from "../access/index.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import type { PreviewDeps } from "./deps.ts";
import { type CloseStep, type DeployStep, planSweep, type SweepStep } from "./plan-sweep.ts";
import { type PreviewPolicy, sourceUrl } from "./policy.ts";
import type { ExistingPreview, OpenPreview, PullRequests } from "./ports.ts";
import {
  forgetClosed,
  type Remembered,
  readMemory,
  readPolicy,
  recordFailure,
  recordSweep,
  rememberClosed,
  rememberOpen,
} from "./queries.ts";
import { reportPreviews } from "./report.ts";
import { withProjectLock } from "./sweep-lock.ts";
import type { StepTaken } from "./tables.ts";

/** What one sweep sees, all read under the project's lock. */
export type Sweep = {
  readonly deps: PreviewDeps;
  readonly project: { readonly id: string; readonly name: string };
  readonly policy: PreviewPolicy;
  readonly provider: PullRequests | null;
  readonly repository: string;
  readonly open: readonly OpenPreview[];
  readonly existing: readonly ExistingPreview[];
  readonly memory: readonly Remembered[];
};

const ACTOR: Actor = systemActor("previews");

/**
 * Makes the previews of a project those that are wanted: compares what is open with what exists, deploys, closes, and
 * tells the host. One sweep of a project at a time, over all control planes; null: another one is at it.
 * A list that cannot be read changes nothing; since when is written down. One preview's failure does not stop the
 * others: it is in its step, and the next sweep tries again. @throws AppError as the provider does.
 */
export async function sweepPreviews(
  deps: PreviewDeps,
  projectId: string,
  signal: AbortSignal,
): Promise<readonly StepTaken[] | null> {
  return withProjectLock(deps.db, projectId, async () => {
    try {
      const sweep = await look(deps, projectId, signal);
      const steps = await confirmClosings(sweep, planSweep({ ...sweep, now: deps.clock.now() }), signal);
      const taken = await reportPreviews(sweep, await takeSteps(sweep, steps), signal);
      await recordSweep(deps.db, projectId, taken, deps.clock.now());
      return taken;
    } catch (error) {
      // Shutting down says nothing about the host.
      if (!signal.aborted) await recordFailure(deps.db, projectId, publicReason(error), deps.clock.now());
      throw error;
    }
  });
}

async function look(deps: PreviewDeps, projectId: string, signal: AbortSignal): Promise<Sweep> {
  const { db } = deps;
  const project = await db
    .selectFrom("projects")
    .select(["id", "name"])
    .where("id", "=", projectId)
    .executeTakeFirstOrThrow();
  const policy = await readPolicy(db, projectId);
  const provider = policy.source === "none" ? null : deps.providers[policy.source];
  const repository = (policy.source === "branches" ? policy.gitUrl : policy.repository) ?? "";
  const open = provider === null ? [] : await provider.open({ projectId, repository }, signal);
  const keys = new Set(open.map(({ key }) => key));
  const before = await readMemory(db, projectId);
  const gone = before.filter(({ key, closed }) => closed !== null && !keys.has(key));
  await forgetClosed(
    db,
    projectId,
    gone.map(({ key }) => key),
  );
  const existing = await deps.existing(projectId);
  const memory = gone.length === 0 ? before : await readMemory(db, projectId);
  return { deps, project, policy, provider, repository, open, existing, memory };
}

/** Asks for each pull request that is not in the list, alone, before its preview goes. */
async function confirmClosings(
  { provider, repository, open, existing }: Sweep,
  steps: readonly SweepStep[],
  signal: AbortSignal,
): Promise<SweepStep[]> {
  const confirmed: SweepStep[] = [];
  for (const step of steps) {
    const number = existing.find(({ key }) => key === step.key)?.pullRequest ?? null;
    const missing = step.kind === "close" && step.as === "gone" && !open.some(({ key }) => key === step.key);
    const asks = missing && number !== null && provider !== null;
    const isOpen = asks ? await provider.isOpen(repository, number, signal) : false;
    if (isOpen !== true) confirmed.push(step);
    else
      confirmed.push({
        kind: "keep",
        key: step.key,
        ours: true,
        why: "It is open, though the list missed it.",
      });
  }
  return confirmed;
}

async function takeSteps(sweep: Sweep, steps: readonly SweepStep[]): Promise<StepTaken[]> {
  const { deps, project } = sweep;
  const taken: StepTaken[] = [];
  let closingFailed = false;
  for (const step of steps) {
    try {
      taken.push(await takeStep(sweep, step, closingFailed));
    } catch (error) {
      closingFailed ||= step.kind === "close";
      deps.log.warn(
        { project: project.name, preview: step.key, err: error },
        `a preview's ${step.kind} failed`,
      );
      taken.push({ ...step, failed: publicReason(error) });
    }
  }
  return taken;
}

async function takeStep(sweep: Sweep, step: SweepStep, closingFailed: boolean): Promise<StepTaken> {
  if (step.kind === "close") return close(sweep, step);
  if (step.kind === "deploy") {
    const isNew = !sweep.existing.some(({ key }) => key === step.key);
    // What did not go still takes the place that this one was to have.
    if (isNew && closingFailed) return { ...step, failed: "Another preview has to be closed first." };
    return deploy(sweep, step);
  }
  if (step.kind === "keep" && step.ours) await adopt(sweep, step.key);
  return step;
}

async function close({ deps, project, policy, ...sweep }: Sweep, step: CloseStep): Promise<StepTaken> {
  const existing = sweep.existing.find(({ key }) => key === step.key);
  if (!existing) return step;
  const commit = sweep.open.find(({ key }) => key === step.key)?.commit ?? existing.commit;
  const source = sweep.memory.find(({ key }) => key === step.key)?.source ?? policy.source;
  await closeExisting(deps, ACTOR, {
    projectId: project.id,
    existing,
    source,
    commit,
    kind: step.as,
    reason: step.why,
  });
  return step;
}

/** Writes down that a preview is to go, with its audit entry, then takes everything of it away. Idempotent. */
export async function closeExisting(
  deps: PreviewDeps,
  actor: Actor,
  closing: {
    projectId: string;
    existing: ExistingPreview;
    source: string;
    commit: string | null;
    kind: CloseStep["as"];
    reason: string;
  },
): Promise<void> {
  const { projectId, existing, source, commit, kind, reason } = closing;
  const { key, pullRequest, branch, newestDeploymentId } = existing;
  const at = deps.clock.now();
  await deps.db.transaction().execute(async (tx) => {
    const row = { projectId, key, source, pullRequest, branch, kind, reason, newestDeploymentId, commit };
    if (!(await rememberClosed(tx, row, at))) return;
    const subject = { type: "preview", id: `${projectId}/${key}` };
    await audit(tx, { actor, action: "preview.close", subject, details: { reason, newestDeploymentId }, at });
  });
  await deps.close(actor, { projectId, key, reason });
}

async function deploy(sweep: Sweep, step: DeployStep): Promise<StepTaken> {
  const { deps, project, policy } = sweep;
  const open = sweep.open.find(({ key }) => key === step.key);
  const git = open ? sourceUrl(policy, open) : null;
  if (git === null)
    throw new AppError("unprocessable", `Preview ${step.key} has no repository to fetch from.`);
  const { key, pullRequest, branch, commit } = step;
  await rememberOpen(deps.db, { projectId: project.id, key, source: policy.source, pullRequest, branch });
  const deploymentId = await deps.trigger(ACTOR, {
    project: project.name,
    environment: "preview",
    branch,
    commit: commit ?? undefined,
    pullRequest,
    source: { git },
    deliveryKey: deliveryKey(sweep, step),
  });
  return { ...step, deploymentId };
}

/** The same for what is decided from the same facts, so that a crash after the trigger makes no second deployment. */
function deliveryKey({ project, existing, memory }: Sweep, { key, commit }: DeployStep): string {
  const after =
    existing.find((each) => each.key === key)?.newestDeploymentId ??
    memory.find((each) => each.key === key)?.lastDeploymentId;
  const facts = JSON.stringify([project.id, key, commit, after ?? null]);
  return `preview:${createHash("sha256").update(facts).digest("hex")}`;
}

/** One that was deployed by hand to a place of an open branch is the sweep's from now on. */
async function adopt({ deps, project, policy, existing, memory }: Sweep, key: string): Promise<void> {
  const found = existing.find((each) => each.key === key);
  const known = memory.find((each) => each.key === key);
  if (!found || (known && known.closed === null)) return;
  const { pullRequest, branch } = found;
  await rememberOpen(deps.db, { projectId: project.id, key, source: policy.source, pullRequest, branch });
}

/** What of an error may be shown: our own words, with what to do. */
function publicReason(error: unknown): string {
  if (!(error instanceof AppError)) return "Something went wrong inside Signalbox; its log says what.";
  return error.hint === undefined ? messageOf(error) : `${messageOf(error)} ${error.hint}`;
}
