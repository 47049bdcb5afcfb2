import { productionHost } from "../hosts.ts";
import type { DockDatabase } from "../rows.ts";
import type { TrafficState } from "./snapshot.ts";

/**
 * Whether a host is another project's already: it points there, was given to it, or is the immutable one of a release,
 * which is nobody's to point elsewhere, not even its own project's. `projectId` null: of a project that is not there
 * yet. Pure.
 */
export function isHeldByAnother(state: TrafficState, host: string, projectId: string | null): boolean {
  const holders = [state.aliases.get(host), state.domains.get(host)];
  if (holders.some((holder) => holder !== undefined && holder.projectId !== projectId)) return true;
  for (const release of state.releases.values()) if (release.host === host) return true;
  return false;
}

/**
 * Whether a host is the one of another project's name, at which it will serve production although nothing may be there
 * yet. `app.one` and `app-one` have the same.
 */
export async function isNameOfAnother(
  { db, domain }: { db: DockDatabase; domain: string },
  host: string,
  projectId: string | null,
): Promise<boolean> {
  if (!host.endsWith(`.${domain}`)) return false;
  const rows = await db.selectFrom("projects").select(["id", "name"]).execute();
  return rows.some(({ id, name }) => id !== projectId && productionHost(name, domain) === host);
}
