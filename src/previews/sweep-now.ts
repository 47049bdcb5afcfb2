import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { getProject } from "../projects/index.ts";
import type { PreviewDeps } from "./deps.ts";
import { sweepPreviews } from "./sweep.ts";
import type { StepTaken } from "./tables.ts";

/** A sweep because a person asks for one. @throws AppError `in_flight` while another runs; as the git host fails. */
export async function sweepNow(
  deps: PreviewDeps,
  actor: Actor,
  projectName: string,
  signal: AbortSignal,
): Promise<readonly StepTaken[]> {
  requireRole(actor, "deployer");
  const project = await getProject(deps.db, projectName);
  const subject = { type: "project", id: project.id };
  await audit(deps.db, { actor, action: "preview.sweep", subject, at: deps.clock.now() });
  const steps = await sweepPreviews(deps, project.id, signal);
  if (steps !== null) return steps;
  throw new AppError("in_flight", `The previews of ${project.name} are being swept already.`, {
    hint: `Look at what it did: GET /api/projects/${project.name}/previews.`,
  });
}
