import type { Selectable } from "kysely";
import type { DockDatabase, DockTables, DockTx } from "../rows.ts";
import type { Former } from "./former.ts";
import { protectionOf } from "./host-gate.ts";
import { GONE_SHOWN_MS, type ProjectDomain, type RoutedRelease, type TrafficState } from "./snapshot.ts";

/** The state as the rows say. */
export async function loadTraffic(
  db: DockDatabase,
  socketOf: (deploymentId: string) => string,
  now: Date,
): Promise<TrafficState> {
  return db
    .transaction()
    .setIsolationLevel("repeatable read")
    .execute(async (tx) => {
      const { generation } = await tx.selectFrom("dock_state").select("generation").executeTakeFirstOrThrow();
      return {
        generation,
        releases: await loadReleases(tx, socketOf),
        ...(await loadProjects(tx)),
        ...(await loadHosts(tx)),
        rollouts: await loadRollouts(tx),
        domains: await loadDomains(tx),
        gone: await loadGone(tx, now),
      };
    });
}

async function loadReleases(
  tx: DockTx,
  socketOf: (deploymentId: string) => string,
): Promise<TrafficState["releases"]> {
  const rows = await tx
    .selectFrom("deployments as d")
    .innerJoin("projects as p", "p.id", "d.project_id")
    .innerJoin("artifacts as a", "a.key", "d.artifact")
    .select(["d.id", "d.project_id", "d.url", "d.target", "d.custom_environment_id", "d.ready_at"])
    .select([
      "d.created_at",
      "d.promoted_at",
      "p.name as project",
      "a.manifest",
      "a.kind",
      "a.crons",
      "d.branch",
    ])
    .where("d.state", "=", "READY")
    .where("d.collected_at", "is", null)
    .execute();
  const releases = rows.map((row): [string, RoutedRelease] => [
    row.id,
    {
      id: row.id,
      projectId: row.project_id,
      project: row.project,
      host: row.url,
      manifest: row.manifest,
      socket: row.kind === "server" ? socketOf(row.id) : null,
      crons: row.crons,
      target: targetOf(row),
      branch: row.branch,
      createdAt: row.created_at,
      readyAt: row.ready_at ?? new Date(0),
      promotedAt: row.promoted_at,
    },
  ]);
  return new Map(releases);
}

async function loadProjects(tx: DockTx): Promise<Pick<TrafficState, "manual" | "settings">> {
  const rows = await tx
    .selectFrom("projects")
    .select(["id", "auto_assign", "skew_protection_max_age", "drain_ms", "options", "paused_at"])
    .execute();
  const secrets = await tx.selectFrom("bypass_secrets").select(["project_id", "hash"]).execute();
  const bypass = Map.groupBy(secrets, (row) => row.project_id);
  return {
    manual: new Set(rows.filter((row) => !row.auto_assign).map((row) => row.id)),
    settings: new Map(
      rows.map((row) => [
        row.id,
        {
          skewMaxAgeS: row.skew_protection_max_age,
          drainMs: row.drain_ms,
          paused: row.paused_at !== null,
          protection: protectionOf(row.options),
          bypass: bypass.get(row.id)?.map(({ hash }) => hash) ?? [],
        },
      ]),
    ),
  };
}

async function loadDomains(tx: DockTx): Promise<TrafficState["domains"]> {
  const rows = await tx.selectFrom("project_domains").selectAll().execute();
  return new Map(rows.map((row) => [row.name, domainOf(row)]));
}

export function domainOf(row: Selectable<DockTables["project_domains"]>): ProjectDomain {
  return {
    projectId: row.project_id,
    redirect: row.redirect === null ? null : { to: row.redirect, status: row.redirect_status ?? 307 },
    gitBranch: row.git_branch,
    environmentId: row.custom_environment_id,
  };
}

async function loadGone(tx: DockTx, now: Date): Promise<TrafficState["gone"]> {
  const rows = await tx
    .selectFrom("deployments")
    .select(["url", "collected_at"])
    .where("state", "=", "READY")
    .where("collected_at", ">", new Date(now.getTime() - GONE_SHOWN_MS))
    .execute();
  const until = (at: Date | null) => new Date((at?.getTime() ?? 0) + GONE_SHOWN_MS);
  return new Map(rows.map((row) => [row.url, until(row.collected_at)]));
}

async function loadHosts(tx: DockTx): Promise<Pick<TrafficState, "aliases" | "former" | "holds">> {
  const aliases = await tx.selectFrom("aliases").selectAll().execute();
  const former = await tx
    .selectFrom("former_releases")
    .selectAll()
    .orderBy("superseded_at", "desc")
    .execute();
  const holds = await tx.selectFrom("holds").selectAll().execute();
  return {
    aliases: new Map(
      aliases.map((row) => [
        row.host,
        { deploymentId: row.deployment_id, projectId: row.project_id, kind: row.kind },
      ]),
    ),
    former: byHost(former),
    holds: new Map(
      holds.map(({ host, id, project_id, until, max_ms, max_requests }) => [
        host,
        { id, projectId: project_id, until, maxMs: max_ms, maxRequests: max_requests },
      ]),
    ),
  };
}

async function loadRollouts(tx: DockTx): Promise<TrafficState["rollouts"]> {
  const rows = await tx.selectFrom("rolling_releases").selectAll().where("state", "=", "ACTIVE").execute();
  return new Map(
    rows.map((row) => [
      row.project_id,
      {
        id: row.id,
        stable: row.current_deployment_id,
        canary: row.canary_deployment_id,
        weight: row.stages[row.active_stage]?.targetPercentage ?? 0,
      },
    ]),
  );
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
