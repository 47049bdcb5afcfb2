import type { Change, FormerOfHost, WriteTx } from "./traffic.ts";

/** The former releases of the hosts that moved, each host's as a whole: they are few. */
export async function writeFormer(tx: WriteTx, hosts: readonly FormerOfHost[]): Promise<void> {
  if (hosts.length === 0) return;
  const names = hosts.map(({ host }) => host);
  await tx.deleteFrom("former_releases").where("host", "in", names).execute();
  const rows = hosts.flatMap(({ host, projectId, list }) =>
    list.map((one) => ({
      host,
      deployment_id: one.deploymentId,
      project_id: projectId,
      superseded_at: one.supersededAt,
      drain_until: one.drainUntil,
      rolled_back: one.rolledBack,
    })),
  );
  if (rows.length > 0) await tx.insertInto("former_releases").values(rows).execute();
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
