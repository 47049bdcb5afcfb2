import { sql } from "kysely";
import type { HealthPolicy } from "../deployments/index.ts";
import type { Tx } from "../foundation/db.ts";
import type { Place } from "../targets/target.ts";
import type { Ours, Seen } from "./compare.ts";
import type { OutsideTables } from "./deps.ts";

type Db = Tx<OutsideTables>;

export type Watched = {
  readonly projectId: string;
  readonly project: string;
  readonly place: Place;
  readonly health: HealthPolicy;
  /** Deployments that are not ours wait for our check. */
  readonly checked: boolean;
};

/** Every project at the target that the newest production deployment of a project has made use of. */
export async function watchedProjects(db: Db, projectId?: string): Promise<Watched[]> {
  const rows = await db
    .selectFrom("deployments")
    .innerJoin("projects", "projects.id", "deployments.project_id")
    .select(["deployments.project_id", "projects.name", "deployments.services", "deployments.branch"])
    .distinctOn("deployments.project_id")
    .where("deployments.environment", "=", "production")
    .where(sql<boolean>`jsonb_array_length(deployments.services) > 0`)
    .$if(projectId !== undefined, (query) => query.where("deployments.project_id", "=", projectId ?? ""))
    .orderBy("deployments.project_id")
    .orderBy("deployments.seq", "desc")
    .execute();
  return rows.flatMap(({ project_id, name, services, branch }) =>
    services.map(({ targetProjectId, targetProject, health, checked }) => ({
      projectId: project_id,
      project: name,
      place: { targetProjectId, project: targetProject, environment: "production" as const, branch },
      health,
      checked: checked === true,
    })),
  );
}

const MOVING = ["shifting", "rolling_back"] as const;

/** What is ours of a project's production now, with where a rollback of ours goes. */
export async function oursNow(db: Db, projectId: string, targetProjectId: string): Promise<Ours> {
  const rows = await db
    .selectFrom("deployments")
    .select(["state", "services"])
    .where("project_id", "=", projectId)
    .where("environment", "=", "production")
    .where("state", "in", ["live", "releasing", ...MOVING])
    .execute();
  const ids = rows.flatMap(({ services, state }) =>
    services
      .filter((service) => service.targetProjectId === targetProjectId)
      .flatMap(({ targetDeploymentId, previousTargetId, rollbackToTargetId }) =>
        // While it moves, either of the two may serve. Once it is live, the one before it may not.
        state === "live" ? [targetDeploymentId] : [targetDeploymentId, previousTargetId, rollbackToTargetId],
      ),
  );
  const moving = rows.some(({ state }) => (MOVING as readonly string[]).includes(state));
  return { expected: new Set(ids.filter((id) => id !== null)), moving };
}

/** How long a look may take; whoever takes longer has lost its claim. */
const CLAIM_MS = 60_000;

/** The right to look at a project at the target, with what was seen there last. Null: somebody else looks. */
export async function claimWatch(
  db: Db,
  { projectId, place }: Watched,
  now: Date,
): Promise<{ readonly until: Date; readonly seen: Seen | null } | null> {
  const until = new Date(now.getTime() + CLAIM_MS);
  const row = await db
    .insertInto("outside_watches")
    .values({
      target_project_id: place.targetProjectId,
      project_id: projectId,
      seen: null,
      looked_at: null,
      failing_since: null,
      failure: null,
      claimed_until: until,
    })
    .onConflict((conflict) =>
      conflict
        .column("target_project_id")
        .doUpdateSet({ claimed_until: until, project_id: projectId })
        .where((eb) =>
          eb.or([
            eb("outside_watches.claimed_until", "is", null),
            eb("outside_watches.claimed_until", "<", now),
          ]),
        ),
    )
    .returning("seen")
    .executeTakeFirst();
  return row ? { until, seen: row.seen } : null;
}

/** The deployment of ours that a release at the target belongs to, the newest one. */
export async function deploymentOf(db: Db, projectId: string, targetDeploymentId: string | null) {
  if (targetDeploymentId === null) return null;
  const row = await db
    .selectFrom("deployments")
    .select("id")
    .where("project_id", "=", projectId)
    .where(sql<boolean>`services @> ${JSON.stringify([{ targetDeploymentId }])}::jsonb`)
    .orderBy("seq", "desc")
    .executeTakeFirst();
  return row?.id ?? null;
}

export async function readWatches(db: Db, projectId?: string) {
  return db
    .selectFrom("outside_watches")
    .innerJoin("projects", "projects.id", "outside_watches.project_id")
    .selectAll("outside_watches")
    .select("projects.name as project")
    .$if(projectId !== undefined, (query) => query.where("outside_watches.project_id", "=", projectId ?? ""))
    .orderBy("projects.name")
    .orderBy("target_project_id")
    .execute();
}

export async function recentEvents(db: Db, projectId: string, limit: number) {
  return db
    .selectFrom("outside_events")
    .selectAll()
    .where("project_id", "=", projectId)
    .orderBy("id", "desc")
    .limit(limit)
    .execute();
}
