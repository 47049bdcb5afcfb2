import { loadTree } from "../deployments/tree.ts";
import type { Dock } from "../dock.ts";
import { targetOf } from "../traffic/load.ts";
import { GONE_SHOWN_MS, type TrafficState } from "../traffic/snapshot.ts";
import { policyOf } from "./expiration.ts";
import { neededReleases } from "./needed.ts";
import { type RetentionRow, retainedDeployments } from "./retention.ts";

const DAY_MS = 24 * 60 * 60_000;

/**
 * Removes the files of deployments that are retained no longer. They leave the gateway first, then their rows are
 * marked, then their files go: at no time is something routed whose bytes are away. Runs while nothing is built, so
 * that no build finds an artifact that is going. False: a build ran, nothing was done.
 */
export async function collectGarbage(dock: Dock): Promise<boolean> {
  return dock.queue.whileIdle(async () => {
    const now = dock.clock.now();
    await letGo(dock, now);
    const kept = await keptFiles(dock);
    const artifacts = await dock.builder.collect(kept.artifacts, new Date(now.getTime() - DAY_MS));
    for (const digest of (await dock.builder.digests?.()) ?? []) kept.digests.add(digest);
    const files = await dock.store.collect(kept.digests, new Date(now.getTime() - DAY_MS));
    if (artifacts.removed + files.removed > 0) {
      dock.log.info({ artifacts, files }, "collected what no retained deployment needs");
    }
  });
}

type Candidate = Omit<RetentionRow, "needed"> & { readonly url: string };

async function letGo(dock: Dock, now: Date): Promise<void> {
  const rows = await candidates(dock);
  const policies = await policiesOf(dock);
  const goingBy = (state: TrafficState) => {
    const needed = neededReleases(state, { now, skewMaxAgeS: dock.skewMaxAgeS });
    const facts = rows.map((row): RetentionRow => {
      const promotedAt = row.promotedAt ?? state.releases.get(row.id)?.promotedAt ?? null;
      return { ...row, promotedAt, needed: needed.has(row.id) || policies.waiting.has(row.id) };
    });
    const retained = retainedDeployments(facts, (id) => policies.byProject.get(id) ?? {}, now);
    return rows.filter((row) => !retained.has(row.id));
  };
  if (goingBy(dock.traffic.state).length === 0) return;
  let going: readonly Candidate[] = [];
  const generation = await dock.traffic.change((current) => {
    // Decided again under the lock: one of them may serve since, or have served.
    going = goingBy(current);
    const ids = going.map((row) => row.id);
    const until = new Date(now.getTime() + GONE_SHOWN_MS);
    return {
      removeReleases: ids,
      goneInMemory: going.filter((row) => row.state === "READY").map(({ url }) => ({ host: url, until })),
      write: async (tx) => {
        if (ids.length === 0) return;
        await tx.updateTable("deployments").set({ collected_at: now }).where("id", "in", ids).execute();
        for (const { id, projectId } of going)
          await dock.hooks.emit(tx, "deployment.cleanup", { projectId, deploymentId: id });
      },
    };
  });
  await dock.publisher.served(generation);
  for (const { id } of going) await dock.runner.stop(id);
}

async function candidates(dock: Dock): Promise<Candidate[]> {
  const rows = await dock.db
    .selectFrom("deployments")
    .select([
      "id",
      "project_id",
      "url",
      "target",
      "custom_environment_id",
      "state",
      "created_at",
      "promoted_at",
    ])
    .where("collected_at", "is", null)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    projectId: row.project_id,
    url: row.url,
    target: targetOf(row),
    state: row.state,
    createdAt: row.created_at,
    promotedAt: row.promoted_at,
  }));
}

/** What projects say, and the deployments that wait until a rolling release lets them be promoted. */
async function policiesOf(dock: Dock) {
  const rows = await dock.db.selectFrom("projects").select(["id", "options", "queued_promotion"]).execute();
  return {
    byProject: new Map(rows.map((row) => [row.id, policyOf(row.options)])),
    waiting: new Set(rows.map((row) => row.queued_promotion)),
  };
}

/** What the deployments that are not collected are made of: their trees (to build again) and their artifacts. */
async function keptFiles(dock: Dock): Promise<{ artifacts: Set<string>; digests: Set<string> }> {
  const digests = new Set<string>();
  const kept = dock.db.selectFrom("deployments").where("collected_at", "is", null);
  const trees = await kept.select("tree").distinct().execute();
  for (const { tree } of trees) for (const file of await loadTree(dock.db, tree)) digests.add(file.sha1);
  const artifacts = await dock.db
    .selectFrom("artifacts")
    .select(["key", "digests"])
    .where(
      "key",
      "in",
      kept.select("artifact").where("artifact", "is not", null).$castTo<{ artifact: string }>(),
    )
    .execute();
  for (const artifact of artifacts) for (const digest of artifact.digests) digests.add(digest);
  return { artifacts: new Set(artifacts.map((row) => row.key)), digests };
}
