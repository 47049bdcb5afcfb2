import { sql } from "kysely";
import type { Database } from "../foundation/db.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { DoraDeployment } from "./dora.ts";
import type { EngineTables } from "./tables.ts";

export type DoraFilter = {
  /** Null: all projects. */
  readonly projectId: string | null;
  readonly environment: EnvironmentName;
  readonly since: Date;
};

/** Every deployment that changed at or after `since`, with its whole history, oldest first. Two queries. */
export async function readDeliveries(
  db: Database<EngineTables>,
  { projectId, environment, since }: DoraFilter,
): Promise<DoraDeployment[]> {
  const rows = await db
    .selectFrom("deployments")
    .select(["id", "project_id", "slot", "state", "outcome", "created_at", "rollback_to_id"])
    .select(sql<number>`coalesce((facts -> 'attempts' ->> 'count')::int, 0)`.as("attempts"))
    .where("environment", "=", environment)
    // Whatever writes an event sets it too.
    .where("updated_at", ">=", since)
    .$if(projectId !== null, (query) => query.where("project_id", "=", projectId ?? ""))
    .orderBy("seq")
    .execute();
  const events = await readEvents(
    db,
    rows.map((row) => row.id),
  );
  return rows.map((row) => ({
    id: row.id,
    place: `${row.project_id}/${row.slot}`,
    state: row.state,
    outcome: row.outcome,
    rolledBackByHand: row.rollback_to_id !== null,
    attempts: row.attempts,
    createdAt: row.created_at,
    committedAt: null,
    events: events.get(row.id) ?? [],
  }));
}

async function readEvents(db: Database<EngineTables>, ids: readonly string[]) {
  const rows = await db
    .selectFrom("deployment_events")
    .select(["deployment_id", "at", "from_state as from", "to_state as to", "reason"])
    // One parameter, however many there are: a list of them ends at 65,535.
    .where("deployment_id", "=", sql<string>`any(${[...ids]}::text[])`)
    .where((eb) => eb.or([eb("from_state", "is", null), eb("from_state", "!=", eb.ref("to_state"))]))
    .orderBy("id")
    .execute();
  return Map.groupBy(rows, (row) => row.deployment_id);
}
