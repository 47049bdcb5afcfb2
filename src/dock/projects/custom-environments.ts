import { PG } from "../../foundation/db.ts";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { CustomEnvironment, Project } from "./queries.ts";

const BUILT_IN = new Set(["production", "preview", "development"]);

/** @throws AppError `bad_request` for a slug that is none, `conflict` for one that is there. */
export async function createEnvironment(
  dock: Dock,
  project: Project,
  input: { slug: string; description: string | null },
): Promise<CustomEnvironment> {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(input.slug) || BUILT_IN.has(input.slug)) {
    throw new AppError("bad_request", `"${input.slug.slice(0, 60)}" cannot be a custom environment.`, {
      hint: "Use up to 32 lower-case letters, digits and hyphens; not production, preview or development.",
    });
  }
  const now = dock.clock.now();
  try {
    return await dock.db
      .insertInto("custom_environments")
      .values({ id: dock.ids("env"), project_id: project.id, ...input, created_at: now, updated_at: now })
      .returningAll()
      .executeTakeFirstOrThrow();
  } catch (error) {
    if (errorCodeOf(error) !== PG.uniqueViolation) throw error;
    throw new AppError(
      "conflict",
      `The project "${project.name}" has an environment "${input.slug}" already.`,
      {
        cause: error,
      },
    );
  }
}
