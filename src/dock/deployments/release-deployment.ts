import { sql } from "kysely";
import { AppError, messageOf } from "../../foundation/errors.ts";
import type { Artifact } from "../build/build.ts";
import { gateOf, HOLDS_ALIAS } from "../checks/gate.ts";
import { type CheckRun, runsOf } from "../checks/queries.ts";
import { startClocks } from "../checks/runs.ts";
import { settleChecks } from "../checks/settle.ts";
import type { Dock } from "../dock.ts";
import { type AutomaticHost, automaticHost, dueAliases } from "../pointers/automatic-hosts.ts";
import { appSpec } from "../releases/app-spec.ts";
import type { ChecksState } from "../resource-rows.ts";
import { targetOf } from "../traffic/load.ts";
import type { RoutedRelease, TrafficState } from "../traffic/snapshot.ts";
import type { WriteTx } from "../traffic/traffic.ts";
import { endFailed } from "./end-deployment.ts";
import type { Deployment } from "./queries.ts";

/**
 * From an artifact to READY: the process is up, the immutable host is routed, and the automatic aliases have moved if
 * they were due; pointers and rows in one transaction. Resolves once the gateway serves it, or it has failed.
 */
export async function releaseDeployment(
  dock: Dock,
  row: Deployment,
  artifact: Artifact,
  options: { reused: boolean; signal: AbortSignal },
): Promise<void> {
  await saveArtifact(dock, row.id, artifact, options.reused);
  if (artifact.server && !(await startProcess(dock, row, artifact.server, options.signal))) return;
  const host = await automaticHost(dock, row);
  const release = routedRelease(dock, row, artifact);
  const runs = await runsOf(dock.db, row.id);
  const gate = gateOf(runs, HOLDS_ALIAS).state;
  const checks = gate === "none" ? null : gate;
  const generation = await dock.traffic
    .change((state) => {
      const isHeld = checks === "pending" || checks === "failed";
      const aliases = isHeld ? [] : dueAliases(state, row, host);
      const aliased = aliases.map((alias) => alias.host);
      const promoted = aliases.some((alias) => alias.kind === "production");
      const readyAt = release.readyAt;
      return {
        addReleases: [{ ...release, promotedAt: promoted ? readyAt : null }],
        setAliases: aliases,
        ...(promoted ? { setPromoted: { deploymentId: row.id, at: readyAt } } : {}),
        write: (tx, generation) =>
          writeReady(dock, tx, { row, host, aliased, generation, readyAt, state, runs, checks, promoted }),
      };
    })
    .catch(async (error) => {
      if (artifact.server) await dock.runner.stop(row.id);
      if (!(error instanceof AppError) || error.code !== "canceled") throw error;
      return null;
    });
  if (generation === null) return dock.events.end(row.id);
  await dock.publisher.served(generation).catch((error) => {
    dock.log.warn(
      { deploymentId: row.id, reason: messageOf(error) },
      "ready, and not served by the gateway yet",
    );
  });
  await dock.events.end(row.id);
  dock.keeper.sweep();
  // A check may have ended between the look at the gate and the commit.
  if (checks !== null) await settleChecks(dock, row.id);
  if (runs.length > 0) dock.alarm.wake();
}

async function startProcess(
  dock: Dock,
  row: Deployment,
  server: NonNullable<Artifact["server"]>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await dock.runner.start(await appSpec(dock, row, server), signal);
    return true;
  } catch (error) {
    const output = await dock.runner.tail(row.id, 50);
    await dock.runner.stop(row.id, { graceMs: 1_000 });
    if (signal.aborted) throw error;
    for (const text of output) dock.events.append(row.id, { type: "stderr", text });
    const hint = error instanceof AppError && error.hint ? ` ${error.hint}` : "";
    await endFailed(dock, row.id, "START_FAILED", `${messageOf(error)}${hint}`);
    return false;
  }
}

async function saveArtifact(dock: Dock, id: string, artifact: Artifact, reused: boolean): Promise<void> {
  const row = {
    manifest: artifact.manifest,
    kind: artifact.kind,
    framework: artifact.framework,
    server: artifact.server ? JSON.stringify(artifact.server) : null,
    digests: [...artifact.digests],
    size_bytes: artifact.sizeBytes,
    functions: JSON.stringify(artifact.functions),
    crons: JSON.stringify(artifact.crons),
  };
  // A forced build makes the same key again; its files may be others.
  if (!reused || !(await knownArtifact(dock, artifact))) {
    await dock.db
      .insertInto("artifacts")
      .values({ key: artifact.key, created_at: dock.clock.now(), ...row })
      .onConflict((conflict) => conflict.column("key").doUpdateSet(row))
      .execute();
  }
  await dock.db
    .updateTable("deployments")
    .set({ artifact: artifact.key, reused })
    .where("id", "=", id)
    .execute();
}

async function knownArtifact(dock: Dock, artifact: Artifact): Promise<boolean> {
  const row = await dock.db
    .selectFrom("artifacts")
    .select("manifest")
    .where("key", "=", artifact.key)
    .executeTakeFirst();
  return row?.manifest === artifact.manifest;
}

function routedRelease(dock: Dock, row: Deployment, artifact: Artifact): RoutedRelease {
  return {
    id: row.id,
    projectId: row.project_id,
    project: row.name,
    host: row.url,
    manifest: artifact.manifest,
    socket: artifact.server ? dock.runner.socketPath(row.id) : null,
    crons: artifact.crons,
    target: targetOf(row),
    branch: row.branch,
    createdAt: row.created_at,
    readyAt: dock.clock.now(),
    promotedAt: null,
  };
}

async function writeReady(
  dock: Dock,
  tx: WriteTx,
  ready: {
    row: Deployment;
    host: AutomaticHost | null;
    aliased: readonly string[];
    generation: number;
    readyAt: Date;
    state: TrafficState;
    runs: readonly CheckRun[];
    checks: ChecksState | null;
    promoted: boolean;
  },
): Promise<void> {
  const { row, host, aliased, generation, readyAt, checks } = ready;
  const taken = host && row.auto_assign && ready.state.aliases.get(host.host);
  const conflict = taken && taken.projectId !== row.project_id;
  const changed = await tx
    .updateTable("deployments")
    .set({
      state: "READY",
      ready_at: readyAt,
      ended_at: readyAt,
      ready_generation: generation,
      alias_generation: generation,
      aliases: [...aliased],
      // Failed ones are told of as such when they are settled.
      checks_state: checks === "failed" ? "pending" : checks,
      ...(checks === "succeeded" ? { checks_completed_at: readyAt } : {}),
      ...(row.target === "production" && aliased.length === 0 ? { substate: "STAGED" as const } : {}),
      ...(conflict ? { alias_error: sql`${JSON.stringify(aliasTaken(host.host))}::jsonb` } : {}),
    })
    .where("id", "=", row.id)
    .where("state", "=", "BUILDING")
    .executeTakeFirst();
  if (changed.numUpdatedRows === 0n) {
    throw new AppError("canceled", `The deployment ${row.id} was canceled while it was released.`);
  }
  if (ready.runs.length > 0) await startClocks(dock, tx, row.id, readyAt);
  const about = { projectId: row.project_id, deploymentId: row.id };
  await dock.hooks.emit(tx, "deployment.ready", about);
  if (checks !== null && checks !== "succeeded") return;
  await dock.hooks.emit(tx, "deployment.succeeded", about);
  if (ready.promoted) await dock.hooks.emit(tx, "deployment.promoted", about);
}

function aliasTaken(host: string): { code: string; message: string } {
  return { code: "alias_in_use", message: `The host ${host} belongs to another project.` };
}
