import type { DeploymentState } from "../rows.ts";

/** After how many days a project's deployments go, by Vercel's names. Absent: the dock's own rule. */
export type RetentionPolicy = {
  /** Of previews and of custom environments. */
  readonly expirationDays?: number | undefined;
  readonly expirationDaysProduction?: number | undefined;
  readonly expirationDaysCanceled?: number | undefined;
  readonly expirationDaysErrored?: number | undefined;
  /** So many of the newest production deployments stay, however old they are. Default 10. */
  readonly deploymentsToKeep?: number | undefined;
};

/** What decides whether a deployment's files are kept. */
export type RetentionRow = {
  readonly id: string;
  readonly projectId: string;
  readonly target: string;
  readonly state: DeploymentState;
  readonly createdAt: Date;
  readonly promotedAt: Date | null;
  /** A host, a rolling release, a visitor or a rollback may need it: see `neededReleases`. */
  readonly needed: boolean;
};

/** Vercel's number. Source: vercel.com/docs/deployment-retention, "Exceptions to the retention policy". */
const PRODUCTION_KEPT = 10;
const KEPT_EACH = 20;
const YOUNG_DAYS = 7;
const DAY_MS = 24 * 60 * 60_000;

/**
 * The deployments whose files stay. What is needed or unfinished always does. Where the project says after how many
 * days such a deployment goes, that decides, but for the newest production ones: as many as were built, and as many as
 * served, which are not the same while builds are staged. Where it says nothing, the last 20 of each target, all of
 * the last 7 days and all that ever were production stay. Pure.
 */
export function retainedDeployments(
  rows: readonly RetentionRow[],
  policyOf: (projectId: string) => RetentionPolicy,
  now: Date,
): Set<string> {
  const retained = new Set<string>();
  const nth = counter();
  for (const row of [...rows].sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())) {
    const policy = policyOf(row.projectId);
    const ageDays = (now.getTime() - row.createdAt.getTime()) / DAY_MS;
    const place = {
      ofTarget: nth(`${row.projectId} ${row.target}`),
      ofBuilt: row.target === "production" && row.state === "READY" ? nth(`${row.projectId} built`) : null,
      ofServed: row.promotedAt === null ? null : nth(`${row.projectId} served`),
    };
    const isUnfinished = row.state === "QUEUED" || row.state === "BUILDING";
    if (row.needed || isUnfinished || isKept(row, policy, ageDays, place)) retained.add(row.id);
  }
  return retained;
}

/** From 1, newest first; null: it is none of them. */
type Place = {
  readonly ofTarget: number;
  readonly ofBuilt: number | null;
  readonly ofServed: number | null;
};

function isKept(row: RetentionRow, policy: RetentionPolicy, ageDays: number, place: Place): boolean {
  const days = expirationDaysOf(row, policy);
  if (days === undefined) {
    return row.promotedAt !== null || place.ofTarget <= KEPT_EACH || ageDays < YOUNG_DAYS;
  }
  const most = policy.deploymentsToKeep ?? PRODUCTION_KEPT;
  const isAmong = (at: number | null) => at !== null && at <= most;
  return ageDays < days || isAmong(place.ofBuilt) || isAmong(place.ofServed);
}

function expirationDaysOf(row: RetentionRow, policy: RetentionPolicy): number | undefined {
  if (row.state === "CANCELED") return policy.expirationDaysCanceled;
  if (row.state === "ERROR") return policy.expirationDaysErrored;
  // What served production is one of production's, whatever it was built for.
  const isProduction = row.target === "production" || row.promotedAt !== null;
  return isProduction ? policy.expirationDaysProduction : policy.expirationDays;
}

function counter(): (name: string) => number {
  const counts = new Map<string, number>();
  return (name) => {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count;
  };
}
