import type { Tx } from "../foundation/db.ts";
import type { NetworksOf } from "../foundation/safe-fetch.ts";
import type { SettingsTables } from "./tables.ts";

export type AllowedNetwork = {
  readonly cidr: string;
  readonly reason: string;
  readonly actorName: string;
  readonly createdAt: Date;
};

export async function listNetworks(db: Tx<SettingsTables>, projectId: string): Promise<AllowedNetwork[]> {
  const rows = await db
    .selectFrom("project_networks")
    .selectAll()
    .where("project_id", "=", projectId)
    .orderBy("created_at")
    .orderBy("cidr")
    .execute();
  return rows.map((row) => ({
    cidr: row.cidr,
    reason: row.reason,
    actorName: row.actor_name,
    createdAt: row.created_at,
  }));
}

/** What a project may reach: what all of them may (`everywhere`), and what was allowed to it. Read anew each time. */
export function networksOf(db: Tx<SettingsTables>, everywhere: readonly string[]): NetworksOf {
  return async (projectId) => {
    const networks = await readNetworks(db, [projectId]);
    return [...everywhere, ...(networks.get(projectId) ?? [])];
  };
}

/** What was allowed to some projects, by project; a project that is not in the answer has nothing. */
export async function readNetworks(
  db: Tx<SettingsTables>,
  projectIds: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  if (projectIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("project_networks")
    .select(["project_id", "cidr"])
    .where("project_id", "in", projectIds)
    .orderBy("cidr")
    .execute();
  const networks = new Map<string, string[]>();
  for (const { project_id, cidr } of rows)
    networks.set(project_id, [...(networks.get(project_id) ?? []), cidr]);
  return networks;
}
