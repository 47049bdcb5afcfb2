import type { Tx } from "../foundation/db.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import type { SettingsTables } from "./tables.ts";

export type SecretName = {
  readonly name: string;
  /** Null: of every environment that has none of that name of its own. */
  readonly environment: string | null;
  readonly updatedAt: Date;
  readonly actorName: string;
};

export async function listSecrets(db: Tx<SettingsTables>, projectId: string): Promise<SecretName[]> {
  const rows = await db
    .selectFrom("project_secrets")
    .select(["name", "environment", "updated_at", "actor_name"])
    .where("project_id", "=", projectId)
    .orderBy("name")
    .orderBy("environment")
    .execute();
  return rows.map(({ name, environment, updated_at, actor_name }) => ({
    name,
    environment,
    updatedAt: updated_at,
    actorName: actor_name,
  }));
}

export type FindSecret = (
  place: { readonly projectId: string; readonly environment: string },
  name: string,
) => string | null;

/** The secrets of some projects, each opened when asked for. An environment's own goes before the project's. */
export async function readSecrets(
  deps: { readonly db: Tx<SettingsTables>; readonly box: Pick<SecretBox, "open"> },
  projectIds: readonly string[],
): Promise<FindSecret> {
  if (projectIds.length === 0) return () => null;
  const rows = await deps.db
    .selectFrom("project_secrets")
    .select(["project_id", "environment", "name", "sealed"])
    .where("project_id", "in", projectIds)
    .execute();
  const sealed = new Map(
    rows.map((row) => [contextOf(row.project_id, row.environment, row.name), row.sealed]),
  );
  return ({ projectId, environment }, name) => {
    for (const context of [contextOf(projectId, environment, name), contextOf(projectId, null, name)]) {
      const bytes = sealed.get(context);
      if (bytes !== undefined) return deps.box.open(bytes, context);
    }
    return null;
  };
}

/** A sealed value that is moved to another row does not open. */
export function contextOf(projectId: string, environment: string | null, name: string): string {
  return `secret:${projectId}:${environment ?? ""}:${name}`;
}
