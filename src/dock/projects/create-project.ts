import { PG } from "../../foundation/db.ts";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { productionHost } from "../hosts.ts";
import type { ProjectOptions, ProjectSettings } from "../rows.ts";
import { isHeldByAnother, isNameOfAnother } from "../traffic/host-owner.ts";
import type { ProjectLink } from "./git-link.ts";
import { findProject, type Project } from "./queries.ts";

/** @throws AppError `bad_request` for a name that is none, `conflict` for one that is taken. */
export async function createProject(
  dock: Dock,
  input: { name: string; settings: ProjectSettings; options?: ProjectOptions; link?: ProjectLink | null },
): Promise<Project> {
  checkName(input.name);
  const host = productionHost(input.name, dock.domain);
  const isTaken =
    isHeldByAnother(dock.traffic.state, host, null) || (await isNameOfAnother(dock, host, null));
  if (isTaken && !(await findProject(dock.db, input.name))) throw hostTaken(input.name, host);
  const now = dock.clock.now();
  try {
    return await dock.db.transaction().execute(async (tx) => {
      const project = await tx
        .insertInto("projects")
        .values({
          id: dock.ids("prj"),
          name: input.name,
          settings: JSON.stringify(input.settings),
          options: JSON.stringify(input.options ?? {}),
          link: input.link ? JSON.stringify(input.link) : null,
          created_at: now,
          updated_at: now,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      const more = { name: project.name };
      await dock.hooks.emit(tx, "project.created", { projectId: project.id, more });
      return project;
    });
  } catch (error) {
    throw errorCodeOf(error) === PG.uniqueViolation ? nameTaken(input.name, error) : error;
  }
}

export function nameTaken(name: string, cause: unknown): AppError {
  return new AppError("conflict", `There is a project "${name}" already.`, {
    hint: "Use it, or choose another name.",
    cause,
  });
}

/** Finds it, or makes it: what a deployment of a new name asks for. */
export async function ensureProject(dock: Dock, name: string): Promise<Project> {
  const found = await findProject(dock.db, name);
  if (found) return found;
  try {
    return await createProject(dock, { name, settings: {} });
  } catch (error) {
    // Two first deployments at once: the other one made it.
    const made = await findProject(dock.db, name);
    if (made) return made;
    throw error;
  }
}

/** Vercel's rule for project names. */
export function checkName(name: string): void {
  if (/^[a-z0-9][a-z0-9._-]{0,99}$/.test(name) && !name.includes("---")) return;
  throw new AppError("bad_request", `"${name.slice(0, 120)}" is not a project name.`, {
    hint: "Use up to 100 lower-case letters, digits, '.', '_' and '-', without '---'.",
  });
}

export function hostTaken(name: string, host: string): AppError {
  return new AppError("conflict", `The project "${name}" would be served at ${host}, which is in use.`, {
    hint: "Choose another name.",
  });
}
