import { messageOf } from "../foundation/errors.ts";
import type { ExistingPreview, PreviewReport } from "./ports.ts";
import { rememberReport } from "./queries.ts";
import type { Sweep } from "./sweep.ts";
import type { StepTaken } from "./tables.ts";

/**
 * Tells the host of every preview that stays what has changed since it was told last. A host that does not listen does
 * not fail the sweep: the step says so, and the next sweep tries again.
 */
export async function reportPreviews(
  sweep: Sweep,
  steps: readonly StepTaken[],
  signal: AbortSignal,
): Promise<StepTaken[]> {
  if (!sweep.policy.commentUrl || sweep.provider === null) return [...steps];
  const told: StepTaken[] = [];
  for (const step of steps) {
    const existing = sweep.existing.find(({ key }) => key === step.key);
    const stays = step.kind === "keep" && step.ours && existing !== undefined;
    told.push(stays ? await reportOne(sweep, step, existing, signal) : step);
  }
  return told;
}

async function reportOne(
  { deps, provider, repository, project, memory }: Sweep,
  step: StepTaken,
  existing: ExistingPreview,
  signal: AbortSignal,
): Promise<StepTaken> {
  const report = reportOf(project.name, existing);
  if (report === null) return step;
  const said = `${report.commit} ${report.state} ${report.url ?? ""}`;
  if (memory.find(({ key }) => key === step.key)?.reported === said) return step;
  try {
    await provider?.report(repository, report, signal);
    await rememberReport(deps.db, project.id, step.key, said);
    return step;
  } catch (error) {
    if (signal.aborted) throw error;
    deps.log.warn(
      { project: project.name, preview: step.key, err: error },
      "a preview could not be reported",
    );
    return { ...step, failed: `It could not be reported: ${messageOf(error)}` };
  }
}

function reportOf(project: string, existing: ExistingPreview): PreviewReport | null {
  const { commit, pullRequest, state, url } = existing;
  if (commit === null) return null;
  const common = { project, pullRequest, commit };
  if (state === "live") return { ...common, state: "success", url, description: "The preview is live." };
  if (["failed", "canceled", "rejected", "rolled_back", "superseded"].includes(state)) {
    return { ...common, state: "failure", url, description: `The preview's deployment is ${state}.` };
  }
  return { ...common, state: "pending", url, description: "The preview is being made." };
}
