import { projectsUpdateProject } from "@vercel/sdk/funcs/projectsUpdateProject.js";
import type { Place } from "../../targets/target.ts";
import type { ProjectAnswer } from "./vercel-answers.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { readProject } from "./vercel-projects.ts";

/**
 * `autoAssignCustomDomains`: whether new production builds take the domains by themselves. It is the team's own
 * setting, and yet every promotion switches it on and every rollback off. So it is written down before either, where a
 * crash does not reach it.
 *
 * After a promotion it is put back at once. After a rollback it stays off: the project is *pinned*, or the next push
 * through Vercel's own Git integration would undo the rollback. The next promotion, or `unpin`, puts it back.
 */

/** A promotion of somebody else's that lasts longer than this was interrupted. */
const INTERRUPTED_MS = 120_000;

/** True when it is off because somebody rolled back, and not because the team wants it off. */
export function isPinned(project: ProjectAnswer): boolean {
  return project.autoAssignCustomDomains === false && project.lastAliasRequest?.type === "rollback";
}

/** Off, and the platform does not say (any more) what it did last. Whoever knew it otherwise goes on knowing that. */
function isUnexplained(project: ProjectAnswer): boolean {
  return project.autoAssignCustomDomains === false && !project.lastAliasRequest?.type;
}

/** Writes down what the team has it at. `promoting`: it will have to be put back. */
export async function keepAutoAssign(
  client: VercelClient,
  { targetProjectId }: Place,
  project: ProjectAnswer | null,
  promoting: boolean,
): Promise<boolean | null> {
  const before = await client.memory.read(targetProjectId);
  const seen = project?.autoAssignCustomDomains ?? null;
  // What a rollback or an interrupted promotion has made of it is not what the team wants. With no memory of what was
  // before a pin, the platform's default counts.
  const ours = before.restoringSince !== null;
  const isKnown = before.autoAssign !== null;
  const pinned = project !== null && (isPinned(project) || (isKnown && isUnexplained(project)));
  const wanted = ours || seen === null ? before.autoAssign : pinned ? (before.autoAssign ?? true) : seen;
  await client.memory.write(targetProjectId, {
    autoAssign: wanted,
    ...(promoting ? { restoringSince: client.clock.now() } : {}),
  });
  return wanted;
}

/** Puts it back after a promotion. Written down as done only then. */
export async function restoreAutoAssign(
  client: VercelClient,
  { targetProjectId }: Place,
  signal: AbortSignal,
): Promise<void> {
  const { autoAssign } = await client.memory.read(targetProjectId);
  if (autoAssign !== null) await setAutoAssign(client, targetProjectId, autoAssign, signal);
  await client.memory.write(targetProjectId, { restoringSince: null });
}

/** After a crash between a promotion and its end: whoever looks at the project finishes it. */
export async function finishInterrupted(
  client: VercelClient,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const { restoringSince } = await client.memory.read(place.targetProjectId);
  if (restoringSince === null) return;
  if (client.clock.now().getTime() - restoringSince.getTime() < INTERRUPTED_MS) return;
  await restoreAutoAssign(client, place, signal);
}

export async function unpin(
  client: VercelClient,
  place: Place,
  signal: AbortSignal,
): Promise<"done" | "not_pinned"> {
  const project = await readProject(client, place.targetProjectId, signal);
  if (project === null || !isPinned(project)) return "not_pinned";
  const { autoAssign } = await client.memory.read(place.targetProjectId);
  // The team has it off anyway: that is no pin of ours.
  if (autoAssign === false) return "not_pinned";
  await setAutoAssign(client, place.targetProjectId, true, signal);
  return "done";
}

async function setAutoAssign(
  client: VercelClient,
  idOrName: string,
  autoAssignCustomDomains: boolean,
  signal: AbortSignal,
): Promise<void> {
  const project = await readProject(client, idOrName, signal);
  if (project === null || project.autoAssignCustomDomains === autoAssignCustomDomains) return;
  const request = { idOrName, ...scopeOf(client), requestBody: { autoAssignCustomDomains } };
  await client.sdk((core, options) => projectsUpdateProject(core, request, options), { signal });
}
