import type { Insertable } from "kysely";
import type { DockTables } from "../rows.ts";
import type { Former } from "./former.ts";
import type { Change, FormerOfHost, WriteTx } from "./traffic.ts";

/** What changed of the former releases of the hosts that moved, in one statement: a flip waits for it. */
export async function writeFormer(tx: WriteTx, hosts: readonly FormerOfHost[]): Promise<void> {
  const gone: { host: string; id: string }[] = [];
  const rows: Insertable<DockTables["former_releases"]>[] = [];
  for (const { host, projectId, before, list } of hosts) {
    const left = new Set(list.map((one) => one.deploymentId));
    for (const { deploymentId } of before) if (!left.has(deploymentId)) gone.push({ host, id: deploymentId });
    for (const one of list) if (!before.includes(one)) rows.push(rowOf(host, projectId, one));
  }
  if (rows.length === 0 && gone.length === 0) return;
  const removing = tx
    .deleteFrom("former_releases")
    .where((eb) => eb.or(gone.map(({ host, id }) => eb.and({ host, deployment_id: id }))));
  if (rows.length === 0) return void (await removing.execute());
  await tx
    .with("gone", () => removing)
    .insertInto("former_releases")
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(["host", "deployment_id"]).doUpdateSet((eb) => ({
        project_id: eb.ref("excluded.project_id"),
        superseded_at: eb.ref("excluded.superseded_at"),
        drain_until: eb.ref("excluded.drain_until"),
        rolled_back: eb.ref("excluded.rolled_back"),
      })),
    )
    .execute();
}

function rowOf(host: string, projectId: string, one: Former): Insertable<DockTables["former_releases"]> {
  return {
    host,
    deployment_id: one.deploymentId,
    project_id: projectId,
    superseded_at: one.supersededAt,
    drain_until: one.drainUntil,
    rolled_back: one.rolledBack,
  };
}

export async function writeHolds(tx: WriteTx, change: Change): Promise<void> {
  if (change.removeHolds && change.removeHolds.length > 0)
    await tx.deleteFrom("holds").where("host", "in", change.removeHolds).execute();
  if (!change.setHolds || change.setHolds.length === 0) return;
  const rows = change.setHolds.map((hold) => ({
    host: hold.host,
    id: hold.id,
    project_id: hold.projectId,
    until: hold.until,
    max_ms: hold.maxMs,
    max_requests: hold.maxRequests,
  }));
  await tx
    .insertInto("holds")
    .values(rows)
    .onConflict((conflict) =>
      conflict.column("host").doUpdateSet((eb) => ({
        id: eb.ref("excluded.id"),
        project_id: eb.ref("excluded.project_id"),
        until: eb.ref("excluded.until"),
        max_ms: eb.ref("excluded.max_ms"),
        max_requests: eb.ref("excluded.max_requests"),
      })),
    )
    .execute();
}
