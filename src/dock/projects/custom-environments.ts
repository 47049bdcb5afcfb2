import { sql } from "kysely";
import { PG } from "../../foundation/db.ts";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { BranchMatcher } from "../rows.ts";
import type { CustomEnvironment, Project } from "./queries.ts";

const BUILT_IN = new Set(["production", "preview", "development"]);

/** @throws AppError `bad_request` for a slug that is none, `conflict` for one that is there. */
export async function createEnvironment(
  dock: Dock,
  project: Project,
  input: { slug: string; description: string | null; branchMatcher: BranchMatcher | null },
): Promise<CustomEnvironment> {
  checkSlug(input.slug);
  const now = dock.clock.now();
  try {
    return await dock.db
      .insertInto("custom_environments")
      .values({
        id: dock.ids("env"),
        project_id: project.id,
        ...rowOf(input),
        slug: input.slug,
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
  } catch (error) {
    throw takenOr(error, project, input.slug);
  }
}

/** Its host and its variables follow at the next deployment. */
export async function updateEnvironment(
  dock: Dock,
  project: Project,
  environment: CustomEnvironment,
  changes: { slug?: string; description?: string; branchMatcher?: BranchMatcher | null },
): Promise<CustomEnvironment> {
  if (changes.slug !== undefined) checkSlug(changes.slug);
  try {
    return await dock.db
      .updateTable("custom_environments")
      .set({ ...rowOf(changes), updated_at: dock.clock.now() })
      .where("id", "=", environment.id)
      .returningAll()
      .executeTakeFirstOrThrow();
  } catch (error) {
    throw takenOr(error, project, changes.slug ?? environment.slug);
  }
}

/** Its host answers no more; its deployments stay, and its variables lose it (those that are left without any go). */
export async function deleteEnvironment(
  dock: Dock,
  project: Project,
  environment: CustomEnvironment,
): Promise<void> {
  const { id } = environment;
  const generation = await dock.traffic.change((state) => {
    const hosts = [...state.aliases]
      .filter(([, alias]) => alias.projectId === project.id && alias.kind === "environment")
      .filter(([, alias]) => state.releases.get(alias.deploymentId)?.target === id)
      .map(([host]) => host);
    const domains = [...state.domains]
      .filter(([, domain]) => domain.environmentId === id)
      .map(([host]) => host);
    return {
      removeAliases: [...new Set([...hosts, ...domains])],
      domainsInMemory: { remove: domains },
      write: async (tx) => {
        await tx.deleteFrom("project_domains").where("custom_environment_id", "=", id).execute();
        await tx
          .updateTable("variables")
          .set({ custom_environment_ids: sql`array_remove(custom_environment_ids, ${id})` })
          .where("project_id", "=", project.id)
          .where(sql<boolean>`${id} = any(custom_environment_ids)`)
          .execute();
        await tx
          .deleteFrom("variables")
          .where("project_id", "=", project.id)
          .where(sql<boolean>`targets = '{}' and custom_environment_ids = '{}'`)
          .execute();
        await tx.deleteFrom("custom_environments").where("id", "=", id).execute();
      },
    };
  });
  await dock.publisher.served(generation);
  dock.keeper.sweep();
}

function rowOf(input: { slug?: string; description?: string | null; branchMatcher?: BranchMatcher | null }) {
  const { branchMatcher, ...rest } = input;
  if (branchMatcher === undefined) return rest;
  return { ...rest, branch_matcher: branchMatcher === null ? null : JSON.stringify(branchMatcher) };
}

function checkSlug(slug: string): void {
  if (/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(slug) && !BUILT_IN.has(slug)) return;
  throw new AppError("bad_request", `"${slug.slice(0, 60)}" cannot be a custom environment.`, {
    hint: "Use up to 32 lower-case letters, digits and hyphens; not production, preview or development.",
  });
}

function takenOr(error: unknown, project: Project, slug: string): unknown {
  if (errorCodeOf(error) !== PG.uniqueViolation) return error;
  return new AppError("conflict", `The project "${project.name}" has an environment "${slug}" already.`, {
    cause: error,
  });
}

/** Pure. */
export function matchesBranch({ type, pattern }: BranchMatcher, branch: string): boolean {
  if (type === "equals") return branch === pattern;
  return type === "startsWith" ? branch.startsWith(pattern) : branch.endsWith(pattern);
}
