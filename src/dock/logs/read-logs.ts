import { once } from "node:events";
import type { Dock } from "../dock.ts";
import { listEnvironments } from "../projects/queries.ts";
import type { AppLine } from "../run/app-lines.ts";
import { type Entry, entryOf, type Origin } from "./entry.ts";

/** Whose logs are asked for: some projects, or one deployment of them. */
export type LogScope = { readonly projectIds: readonly string[]; readonly deploymentId?: string | undefined };

/** A project has about this many releases with a process at a time; older ones have no log any more. */
const MOST_RELEASES = 50;

/** Everything kept of the output of these releases in a span of time, in no order across releases. */
export async function readLogs(
  dock: Dock,
  scope: LogScope,
  span: { readonly start: number; readonly end: number },
): Promise<Entry[]> {
  const found: Entry[] = [];
  for (const origin of await originsOf(dock, scope)) {
    for (const line of await dock.runner.lines(origin.deploymentId)) {
      const entry = entryOf(line, origin);
      if (entry.at >= span.start && entry.at <= span.end) found.push(entry);
    }
  }
  return found;
}

/** The entries of one deployment that come once this has resolved. Static ones have none, and never end either. */
export async function followLogs(
  dock: Dock,
  scope: Required<LogScope>,
  signal: AbortSignal,
): Promise<AsyncGenerator<Entry>> {
  const [origin] = await originsOf(dock, scope);
  if (!origin) return nothing(signal);
  return entriesOf(await dock.runner.follow(origin.deploymentId, signal), origin);
}

async function* entriesOf(lines: AsyncIterable<AppLine>, origin: Origin): AsyncGenerator<Entry> {
  for await (const line of lines) yield entryOf(line, origin);
}

// biome-ignore lint/correctness/useYield: a stream of nothing
async function* nothing(signal: AbortSignal): AsyncGenerator<Entry> {
  if (!signal.aborted) await once(signal, "abort");
}

/** The deployments of a scope that have, or may have, a process. */
async function originsOf(dock: Dock, { projectIds, deploymentId }: LogScope): Promise<Origin[]> {
  if (projectIds.length === 0) return [];
  const ids = [...dock.traffic.state.releases.values()]
    .filter((release) => release.socket !== null && projectIds.includes(release.projectId))
    .filter((release) => deploymentId === undefined || release.id === deploymentId)
    .sort((a, b) => b.readyAt.getTime() - a.readyAt.getTime())
    .slice(0, MOST_RELEASES)
    .map((release) => release.id);
  if (ids.length === 0) return [];
  const rows = await dock.db
    .selectFrom("deployments")
    .select(["id", "project_id", "branch", "target", "custom_environment_id", "url"])
    .where("id", "in", ids)
    .execute();
  const slugs = new Map<string, string>();
  for (const projectId of projectIds) {
    for (const row of await listEnvironments(dock.db, projectId)) slugs.set(row.id, row.slug);
  }
  return rows.map((row) => ({
    projectId: row.project_id,
    deploymentId: row.id,
    environment: row.target ?? slugs.get(row.custom_environment_id ?? "") ?? "preview",
    branch: row.branch,
    host: row.url,
  }));
}
