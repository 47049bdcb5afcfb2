import type { Selectable } from "kysely";
import type { DockDatabase, DockTables } from "../rows.ts";
import type { Former } from "./former.ts";
import type { RoutedRelease, TrafficState } from "./snapshot.ts";

/** The state as the rows say. */
export async function loadTraffic(
  db: DockDatabase,
  socketOf: (deploymentId: string) => string,
): Promise<TrafficState> {
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (tx) => {
      const { generation } = await tx.selectFrom("dock_state").select("generation").executeTakeFirstOrThrow();
      const deployments = await tx
        .selectFrom("deployments as d")
        .innerJoin("projects as p", "p.id", "d.project_id")
        .innerJoin("artifacts as a", "a.key", "d.artifact")
        .select(["d.id", "d.project_id", "d.url", "d.target", "d.custom_environment_id", "d.ready_at"])
        .select(["d.created_at", "d.promoted_at", "p.name as project", "a.manifest", "a.kind"])
        .where("d.state", "=", "READY")
        .where("d.collected_at", "is", null)
        .execute();
      const aliases = await tx.selectFrom("aliases").selectAll().execute();
      const rolling = await tx
        .selectFrom("rolling_releases")
        .selectAll()
        .where("state", "=", "ACTIVE")
        .execute();
      const projects = await tx
        .selectFrom("projects")
        .select(["id", "auto_assign", "skew_protection_max_age", "drain_ms"])
        .execute();
      const manual = projects.filter((row) => !row.auto_assign);
      const former = await tx
        .selectFrom("former_releases")
        .selectAll()
        .orderBy("superseded_at", "desc")
        .execute();
      const holds = await tx.selectFrom("holds").selectAll().execute();
      const releases = deployments.map((row): [string, RoutedRelease] => [
        row.id,
        {
          id: row.id,
          projectId: row.project_id,
          project: row.project,
          host: row.url,
          manifest: row.manifest,
          socket: row.kind === "server" ? socketOf(row.id) : null,
          target: targetOf(row),
          createdAt: row.created_at,
          readyAt: row.ready_at ?? new Date(0),
          promotedAt: row.promoted_at,
        },
      ]);
      return {
        generation,
        releases: new Map(releases),
        manual: new Set(manual.map((row) => row.id)),
        former: byHost(former),
        settings: new Map(
          projects.map((row) => [
            row.id,
            { skewMaxAgeS: row.skew_protection_max_age, drainMs: row.drain_ms },
          ]),
        ),
        holds: new Map(
          holds.map((row) => [
            row.host,
            {
              id: row.id,
              projectId: row.project_id,
              until: row.until,
              maxMs: row.max_ms,
              maxRequests: row.max_requests,
            },
          ]),
        ),
        aliases: new Map(
          aliases.map((row) => [
            row.host,
            { deploymentId: row.deployment_id, projectId: row.project_id, kind: row.kind },
          ]),
        ),
        rollouts: new Map(
          rolling.map((row) => [
            row.project_id,
            {
              id: row.id,
              stable: row.current_deployment_id,
              canary: row.canary_deployment_id,
              weight: row.stages[row.active_stage]?.targetPercentage ?? 0,
            },
          ]),
        ),
      };
    });
}

function byHost(rows: readonly Selectable<DockTables["former_releases"]>[]): Map<string, Former[]> {
  const hosts = new Map<string, Former[]>();
  for (const row of rows) {
    const list = hosts.get(row.host) ?? [];
    list.push({
      deploymentId: row.deployment_id,
      supersededAt: row.superseded_at,
      drainUntil: row.drain_until,
      rolledBack: row.rolled_back,
    });
    hosts.set(row.host, list);
  }
  return hosts;
}

/** What a deployment is for: `production`, a custom environment's id, or `preview`. */
export function targetOf(row: { target: "production" | null; custom_environment_id: string | null }): string {
  return row.target ?? row.custom_environment_id ?? "preview";
}
