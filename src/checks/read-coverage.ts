import { sql } from "kysely";
import type { CheckDeps } from "./check-deps.ts";
import { listChecks } from "./load-checks.ts";
import { type FailureClass, NO_VERDICT } from "./model.ts";
import { type CheckOverview, readOverview } from "./read-overview.ts";
import type { Gap } from "./seeds.ts";
import { rulesKey } from "./sync-checks.ts";
import { unfollowed } from "./sync-queries.ts";

export type CoverageProblem = Gap & { readonly project: string; readonly environment: string };

export type Coverage = {
  /** Checks that there are, and those of them with a verdict that is not stale. */
  readonly checks: number;
  readonly known: number;
  readonly problems: readonly CoverageProblem[];
};

/** A prober says that it is there every few seconds. */
const UNSEEN_MS = 30_000;
/** A deployment that has just gone live may not have its checks yet, nor a check its first round. */
const SETTLE_MS = 15_000;

/** What nobody would notice if it broke, and what to do about it. */
export async function readCoverage(deps: CheckDeps, projectId?: string): Promise<Coverage> {
  const now = deps.clock.now();
  const checks = await readOverview(deps.db, { projectId }, now);
  const problems = [
    ...(await unfollowedPlaces(deps, projectId)),
    ...(await gapsOfPlaces(deps, projectId)),
    ...(await unusable(deps, checks)),
    ...(await unprobed(deps, checks)),
    ...checks.flatMap((check) => unknown(check, now)),
  ];
  const known = checks.filter(({ lastAt, stale, state }) => lastAt !== null && !stale && state !== "unknown");
  return { checks: checks.length, known: known.length, problems };
}

async function unfollowedPlaces(
  { db, checkRules, clock }: CheckDeps,
  projectId?: string,
): Promise<CoverageProblem[]> {
  const now = clock.now();
  const waiting = await unfollowed(db, rulesKey(checkRules), now);
  const rows = waiting.filter((live) => projectId === undefined || live.projectId === projectId);
  if (rows.length === 0) return [];
  const since = await db
    .selectFrom("deployments")
    .select(["id", "live_at"])
    .where(
      "id",
      "in",
      rows.map(({ id }) => id),
    )
    .execute();
  const fresh = new Set(
    since.filter(({ live_at }) => now.getTime() - (live_at?.getTime() ?? 0) < SETTLE_MS).map(({ id }) => id),
  );
  return rows
    .filter(({ id }) => !fresh.has(id))
    .map(({ project, environment, slot, id }) => ({
      project,
      environment,
      subject: slot,
      why: `nothing checks what ${id} serves: its checks were not made yet`,
      hint: "They are made within seconds of a deployment; if they stay away, look into the control plane's log.",
    }));
}

async function gapsOfPlaces({ db }: CheckDeps, projectId?: string): Promise<CoverageProblem[]> {
  const { rows } = await sql<{
    project: string;
    environment: string;
    gaps: Gap[];
    failure: string | null;
    deploymentId: string;
  }>`
    select p.name as project, d.environment, s.gaps, s.failure, d.id as "deploymentId"
    from check_syncs s join projects p on p.id = s.project_id join deployments d on d.id = s.deployment_id
    where ${projectId ?? null}::text is null or s.project_id = ${projectId ?? null}
    order by p.name, s.slot`.execute(db);
  return rows.flatMap(({ project, environment, gaps, failure, deploymentId }) => {
    const unread = {
      subject: "signalbox.yaml",
      why: `what ${deploymentId} was configured with could not be read, and its checks are those of before: ${failure}`,
      hint: "It is read again every minute; deploying again sends it anew.",
    };
    return [...(failure === null ? [] : [unread]), ...gaps].map((gap) => ({ project, environment, ...gap }));
  });
}

/** Checks that cannot be asked for want of a secret, or of a network that they may reach. */
async function unusable(deps: CheckDeps, checks: readonly CheckOverview[]): Promise<CoverageProblem[]> {
  const byId = new Map(checks.map((check) => [check.id, check]));
  const loaded = await listChecks(deps, { ids: [...byId.keys()] });
  const broken = new Map(
    loaded.flatMap(({ id, problem }) => (problem === null ? [] : [[id, problem.message]])),
  );
  // What cannot be asked says so where it is asked from: a network, a program, a permission is missing.
  const unasked = await deps.db
    .selectFrom("check_locations")
    .select([
      "check_id",
      sql<FailureClass>`fold -> 'failure' ->> 'class'`.as("class"),
      sql<string>`min(fold -> 'failure' ->> 'message')`.as("message"),
    ])
    .where(sql<boolean>`fold -> 'failure' ->> 'class' = any(${[...NO_VERDICT]})`)
    .groupBy(["check_id", "class"])
    .execute();
  const about = (id: string, why: string, hint: string): CoverageProblem[] => {
    const check = byId.get(id);
    if (check === undefined) return [];
    const { project, environment, name } = check;
    return [{ project, environment, subject: name, why, hint }];
  };
  return [
    ...[...broken].flatMap(([id, message]) => about(id, lower(message), "Do that, and it is asked at once.")),
    ...unasked
      .filter(({ check_id }) => !broken.has(check_id))
      .flatMap(({ check_id, message, class: why }) => about(check_id, lower(message), HINTS[why] ?? "")),
  ];
}

const HINTS: Partial<Record<FailureClass, string>> = {
  blocked: "An owner allows its network: signalbox network allow CIDR --reason ….",
  unsupported: "Do what the message says, on the prober's machine.",
  fault: "Look into the prober's log, and report it.",
};

/** Locations that checks ask for, and from which nobody looks. */
async function unprobed(
  { db, clock }: CheckDeps,
  checks: readonly CheckOverview[],
): Promise<CoverageProblem[]> {
  const now = clock.now();
  const probers = await db.selectFrom("probers").select(["location", "seen_at"]).execute();
  const seen = (location: string) =>
    probers.filter((each) => each.location === location).map((each) => each.seen_at.getTime());
  const wanted = new Set(checks.flatMap(({ policy }) => policy.locations));
  return [...wanted].flatMap((location): CoverageProblem[] => {
    const last = Math.max(0, ...seen(location));
    if (now.getTime() - last < UNSEEN_MS) return [];
    const when = last === 0 ? "has never been seen" : `was last seen ${ago(now.getTime() - last)} ago`;
    return [
      {
        project: "",
        environment: "",
        subject: `prober "${location}"`,
        why: `no prober at this location: it ${when}`,
        hint:
          location === "local"
            ? "Start it: npx signalbox up."
            : "Start its agent, or take it out of `locations`.",
      },
    ];
  });
}

function unknown(check: CheckOverview, now: Date): CoverageProblem[] {
  const { project, environment, name, lastAt, stale, createdAt, policy } = check;
  const about = (why: string) => [
    { project, environment, subject: name, why, hint: `Ask it now: signalbox check ${name}.` },
  ];
  const { intervalMs, timeoutMs } = policy;
  if (lastAt === null && check.type === "heartbeat") {
    const why = "it has not called yet, so nobody would notice if it never does";
    const hint = `Have its job call the address that POST /api/checks/${check.id}/heartbeat/key makes.`;
    return [{ project, environment, subject: name, why, hint }];
  }
  if (lastAt === null) {
    const isDue = now.getTime() - createdAt.getTime() > intervalMs + timeoutMs + SETTLE_MS;
    return isDue ? about("it has never run") : [];
  }
  return stale ? about(`its last word is ${ago(now.getTime() - lastAt.getTime())} old`) : [];
}

function ago(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  return seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function lower(sentence: string): string {
  return (sentence.charAt(0).toLowerCase() + sentence.slice(1)).replace(/\.$/, "");
}
