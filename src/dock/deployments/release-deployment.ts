import { sql } from "kysely";
import { AppError, messageOf } from "../../foundation/errors.ts";
import type { Artifact } from "../build/build.ts";
import type { Dock } from "../dock.ts";
import { branchHost, environmentHost, productionHost, pullRequestHost } from "../hosts.ts";
import { findEnvironment } from "../projects/queries.ts";
import { appSpec } from "../releases/app-spec.ts";
import { targetOf } from "../traffic/load.ts";
import {
  type AliasTarget,
  productionOf,
  type RoutedRelease,
  type TrafficState,
} from "../traffic/snapshot.ts";
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
  let aliased: readonly string[] = [];
  const release = routedRelease(dock, row, artifact);
  const generation = await dock.traffic
    .change((state) => {
      const alias = host && isDue(state, row, host) ? host : null;
      aliased = alias ? [alias.host] : [];
      const promoted = alias?.kind === "production";
      const readyAt = release.readyAt;
      return {
        addReleases: [{ ...release, promotedAt: promoted ? readyAt : null }],
        setAliases: alias ? [alias] : [],
        ...(promoted ? { setPromoted: { deploymentId: row.id, at: readyAt } } : {}),
        write: (tx, generation) => writeReady(tx, { row, host, aliased, generation, readyAt, state }),
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
    target: targetOf(row),
    createdAt: row.created_at,
    readyAt: dock.clock.now(),
    promotedAt: null,
  };
}

type AutomaticHost = { readonly host: string } & AliasTarget;

/** The host that a deployment gets by itself, or null where it asked for none. */
async function automaticHost(dock: Dock, row: Deployment): Promise<AutomaticHost | null> {
  const alias = { deploymentId: row.id, projectId: row.project_id };
  if (row.target === "production") {
    return { ...alias, host: productionHost(row.name, dock.domain), kind: "production" };
  }
  if (row.custom_environment_id) {
    const environment = await findEnvironment(dock.db, row.project_id, row.custom_environment_id);
    if (!environment) return null;
    return { ...alias, host: environmentHost(row.name, environment.slug, dock.domain), kind: "environment" };
  }
  const pullRequest = pullRequestOf(row.meta);
  if (pullRequest !== null)
    return { ...alias, host: pullRequestHost(row.name, pullRequest, dock.domain), kind: "branch" };
  return row.branch
    ? { ...alias, host: branchHost(row.name, row.branch, dock.domain), kind: "branch" }
    : null;
}

/** The number of the pull request that a preview belongs to: it has that one's host, and not its branch's. */
function pullRequestOf(meta: Readonly<Record<string, string>>): number | null {
  const text = meta.pullRequest ?? "";
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
}

/** Whether the host moves now. A build that began earlier never takes it from one that began later. */
function isDue(state: TrafficState, row: Deployment, host: AutomaticHost): boolean {
  if (!row.auto_assign) return false;
  if (host.kind === "production") {
    if (state.manual.has(row.project_id) || state.rollouts.has(row.project_id)) return false;
    const serving = productionOf(state, row.project_id);
    const release = serving && state.releases.get(serving.deploymentId);
    if (release && release.createdAt > row.created_at) return false;
  }
  const holder = state.aliases.get(host.host);
  if (!holder) return true;
  const release = state.releases.get(holder.deploymentId);
  return holder.projectId === row.project_id && (!release || release.createdAt <= row.created_at);
}

async function writeReady(
  tx: WriteTx,
  ready: {
    row: Deployment;
    host: AutomaticHost | null;
    aliased: readonly string[];
    generation: number;
    readyAt: Date;
    state: TrafficState;
  },
): Promise<void> {
  const { row, host, aliased, generation, readyAt } = ready;
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
      ...(row.target === "production" && aliased.length === 0 ? { substate: "STAGED" as const } : {}),
      ...(conflict ? { alias_error: sql`${JSON.stringify(aliasTaken(host.host))}::jsonb` } : {}),
    })
    .where("id", "=", row.id)
    .where("state", "=", "BUILDING")
    .executeTakeFirst();
  if (changed.numUpdatedRows === 0n) {
    throw new AppError("canceled", `The deployment ${row.id} was canceled while it was released.`);
  }
}

function aliasTaken(host: string): { code: string; message: string } {
  return { code: "alias_in_use", message: `The host ${host} belongs to another project.` };
}
