import { loadTree } from "../deployments/tree.ts";
import type { Dock } from "../dock.ts";
import { FORMER_KEPT } from "../traffic/former.ts";
import { targetOf } from "../traffic/load.ts";
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

async function letGo(dock: Dock, now: Date): Promise<void> {
  const rows = await dock.db
    .selectFrom("deployments")
    .select(["id", "project_id", "target", "custom_environment_id", "state", "created_at", "promoted_at"])
    .where("collected_at", "is", null)
    .execute();
  const { state } = dock.traffic;
  const serving = new Set([...state.aliases.values()].map((alias) => alias.deploymentId));
  for (const rollout of state.rollouts.values()) serving.add(rollout.stable).add(rollout.canary);
  const former = new Set<string>();
  for (const list of state.former.values())
    for (const one of list.slice(0, FORMER_KEPT)) former.add(one.deploymentId);
  const facts = rows.map(
    (row): RetentionRow => ({
      id: row.id,
      projectId: row.project_id,
      target: targetOf(row),
      state: row.state,
      createdAt: row.created_at,
      promotedAt: row.promoted_at,
      serving: serving.has(row.id),
      former: former.has(row.id),
    }),
  );
  const retained = retainedDeployments(facts, now);
  const going = facts.filter((row) => !retained.has(row.id)).map((row) => row.id);
  if (going.length === 0) return;
  const generation = await dock.traffic.change((current) => {
    // Read again under the lock: one of them may serve since, or have served.
    const used = new Set([...current.aliases.values()].map((alias) => alias.deploymentId));
    for (const rollout of current.rollouts.values()) used.add(rollout.stable).add(rollout.canary);
    const ids = going.filter((id) => !used.has(id) && !current.releases.get(id)?.promotedAt);
    return {
      removeReleases: ids,
      write: async (tx) => {
        if (ids.length === 0) return;
        await tx.updateTable("deployments").set({ collected_at: now }).where("id", "in", ids).execute();
      },
    };
  });
  await dock.publisher.served(generation);
  for (const id of going) if (!dock.traffic.state.releases.has(id)) await dock.runner.stop(id);
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
