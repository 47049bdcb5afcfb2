import type { DeploymentState } from "../rows.ts";

/** What decides whether a deployment's files are kept. */
export type RetentionRow = {
  readonly id: string;
  readonly projectId: string;
  readonly target: string;
  readonly state: DeploymentState;
  readonly createdAt: Date;
  readonly promotedAt: Date | null;
  /** A host or an active rolling release points to it. */
  readonly serving: boolean;
  /** It is one of the last few that a host had: a rollback may go back to it. */
  readonly former: boolean;
};

const KEPT_EACH = 20;
const YOUNG_MS = 7 * 24 * 60 * 60_000;

/**
 * The deployments whose files stay: serving, unfinished, ever in production or lately at any other host (a rollback may
 * go back to it), the last 20 of each project and target, and all of the last 7 days. Of these, only deleting takes one
 * away that ever was production. Pure.
 */
export function retainedDeployments(rows: readonly RetentionRow[], now: Date): Set<string> {
  const retained = new Set<string>();
  const counts = new Map<string, number>();
  for (const row of [...rows].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())) {
    const group = `${row.projectId} ${row.target}`;
    const count = (counts.get(group) ?? 0) + 1;
    counts.set(group, count);
    const keep =
      row.serving ||
      row.promotedAt !== null ||
      row.former ||
      row.state === "QUEUED" ||
      row.state === "BUILDING" ||
      count <= KEPT_EACH ||
      now.getTime() - row.createdAt.getTime() < YOUNG_MS;
    if (keep) retained.add(row.id);
  }
  return retained;
}
