import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { getProject } from "../projects/index.ts";
import type { PreviewDeps } from "./deps.ts";
import { readMemory } from "./queries.ts";
import { closeExisting } from "./sweep.ts";

/**
 * Takes a preview away now, one made by hand too. The sweep does not bring it back before its head moves or it is
 * opened anew. @throws AppError `forbidden`, `not_found` naming those that there are.
 */
export async function closePreview(
  deps: PreviewDeps,
  actor: Actor,
  input: { project: string; key: string },
): Promise<void> {
  requireRole(actor, "deployer");
  const project = await getProject(deps.db, input.project);
  const all = await deps.existing(project.id);
  const existing = all.find(({ key }) => key === input.key);
  if (!existing)
    throw noSuchPreview(
      input,
      all.map(({ key }) => key),
    );
  const memory = (await readMemory(deps.db, project.id)).find(({ key }) => key === input.key);
  await closeExisting(deps, actor, {
    projectId: project.id,
    existing,
    source: memory?.source ?? "none",
    commit: existing.commit,
    kind: "person",
    reason: `closed by ${actor.name}`,
  });
}

const SHOWN = 5;

function noSuchPreview(input: { project: string; key: string }, keys: readonly string[]): AppError {
  const more = keys.length > SHOWN ? ` and ${keys.length - SHOWN} more` : "";
  return new AppError("not_found", `${input.project} has no preview "${input.key.slice(0, 260)}".`, {
    hint: keys.length === 0 ? "It has none at all." : `It has ${keys.slice(0, SHOWN).join(", ")}${more}.`,
  });
}
