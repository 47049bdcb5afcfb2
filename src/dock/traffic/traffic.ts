import type { Transaction } from "kysely";
import type { Clock } from "../../foundation/clock.ts";
import { AppError } from "../../foundation/errors.ts";
import type { Ids } from "../../foundation/ids.ts";
import type { DockDatabase, DockTables } from "../rows.ts";
import { type Former, formerAfter } from "./former.ts";
import { isHeldByAnother } from "./host-owner.ts";
import { loadTraffic } from "./load.ts";
import {
  type AliasTarget,
  type HeldHost,
  type ProjectDomain,
  type Rollout,
  type RoutedRelease,
  settingsOf,
  type TrafficSettings,
  type TrafficState,
} from "./snapshot.ts";
import { writeFormer, writeHolds } from "./write.ts";

export type WriteTx = Transaction<DockTables>;

/** One decision about pointers. Applied to rows in one transaction, then to memory, then pushed. */
export type Change = {
  readonly setAliases?: readonly ({ readonly host: string } & AliasTarget)[];
  readonly removeAliases?: readonly string[];
  readonly addReleases?: readonly RoutedRelease[];
  readonly removeReleases?: readonly string[];
  readonly setRollouts?: readonly { readonly projectId: string; readonly rollout: Rollout | null }[];
  /** The aliases go back: what they leave is bad, and nobody stays with it. */
  readonly isRollback?: boolean;
  readonly setHolds?: readonly ({ readonly host: string } & HeldHost)[];
  readonly removeHolds?: readonly string[];
  /** The row is the business of `write`. */
  readonly settingsInMemory?: { readonly projectId: string; readonly settings: TrafficSettings };
  /** The rows are the business of `write`. */
  readonly domainsInMemory?: {
    readonly set?: readonly (readonly [host: string, domain: ProjectDomain])[];
    readonly remove?: readonly string[];
  };
  /** Hosts whose deployments were let go. The rows are the business of `write`. */
  readonly goneInMemory?: readonly { readonly host: string; readonly until: Date }[];
  /** Whether production follows new builds. The row is the business of `write`. */
  readonly autoAssignInMemory?: { readonly projectId: string; readonly value: boolean };
  /** This deployment serves production from now on: it may be rolled back to. */
  readonly setPromoted?: { readonly deploymentId: string; readonly at: Date };
  /** The rest of the rows that belong to it, in the same transaction. Throwing undoes all. */
  readonly write?: (tx: WriteTx, generation: number) => Promise<void>;
};

/**
 * The pointers: who serves which host. A change is decided and committed under one lock in one process (the dock holds
 * its schema alone), so the memory that a decision reads is what the rows say.
 */
export type Traffic = {
  readonly state: TrafficState;
  /** `decide` reads `state` and returns the change, or throws. Resolves with its generation once committed. */
  change(decide: (state: TrafficState) => Change): Promise<number>;
  /** Goes beyond this generation without any other change. */
  raise(beyond: number): Promise<void>;
};

export async function createTraffic(deps: {
  db: DockDatabase;
  clock: Clock;
  ids: Ids;
  socketOf: (deploymentId: string) => string;
  onChange: (generation: number) => void;
}): Promise<Traffic> {
  let state = await loadTraffic(deps.db, deps.socketOf, deps.clock.now());
  let last: Promise<unknown> = Promise.resolve();
  // Set while a commit's outcome is unknown: memory may be behind the rows then.
  let uncertain = false;

  function locked<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  }

  async function refresh(): Promise<void> {
    if (!uncertain) return;
    state = await loadTraffic(deps.db, deps.socketOf, deps.clock.now());
    uncertain = false;
    deps.onChange(state.generation);
  }

  async function commit(change: Change, least: number): Promise<number> {
    refuseUnrouted(state, change);
    refuseTakeover(state, change);
    const generation = Math.max(state.generation, least) + 1;
    const former = formerOf(state, change, deps.clock.now());
    uncertain = true;
    try {
      await deps.db.transaction().execute(async (tx) => {
        await tx.updateTable("dock_state").set({ generation }).execute();
        await writePointers(tx, change, deps);
        await writeFormer(tx, former);
        await writeHolds(tx, change);
        await change.write?.(tx, generation);
      });
    } catch (error) {
      // Whether it was committed is for the rows to say; if they cannot be read now, the next change reads them.
      await refresh().catch(() => {});
      throw error;
    }
    apply(state, change, generation);
    for (const { host, list } of former) state.former.set(host, list);
    uncertain = false;
    deps.onChange(generation);
    return generation;
  }

  return {
    get state() {
      return state;
    },
    change: (decide) =>
      locked(async () => {
        await refresh();
        return commit(decide(state), 0);
      }),
    raise: (beyond) =>
      locked(async () => {
        await refresh();
        await commit({}, beyond);
      }),
  };
}

export type FormerOfHost = {
  readonly host: string;
  readonly projectId: string;
  /** What the rows say until now. Entries that stay as they are, are the same objects in `list`. */
  readonly before: readonly Former[];
  readonly list: readonly Former[];
};

/** Who had each host that moves. A host that another project takes over begins anew. */
function formerOf(state: TrafficState, change: Change, now: Date): FormerOfHost[] {
  const holder = (id: string) => {
    const release = state.releases.get(id) ?? change.addReleases?.find((added) => added.id === id);
    return { id, createdAt: release?.createdAt ?? null };
  };
  return (change.setAliases ?? []).map(({ host, deploymentId, projectId }) => {
    const before = state.aliases.get(host);
    const isOurs = before?.projectId === projectId;
    const known = state.former.get(host) ?? [];
    const list = formerAfter(isOurs ? known : [], {
      from: isOurs ? holder(before.deploymentId) : null,
      to: holder(deploymentId),
      isRollback: change.isRollback === true,
      drainMs: settingsOf(state, projectId).drainMs,
      now,
    });
    return { host, projectId, before: known, list };
  });
}

/** What was looked up before the lock may have been deleted since. */
function refuseUnrouted(state: TrafficState, change: Change): void {
  for (const { host, deploymentId } of change.setAliases ?? []) {
    const added = change.addReleases?.some((release) => release.id === deploymentId);
    if (added || state.releases.has(deploymentId)) continue;
    throw new AppError("conflict", `The deployment ${deploymentId} is gone; ${host} was not pointed to it.`, {
      hint: "Choose another deployment.",
    });
  }
}

/** No project takes what is another one's. A domain that moves says so; that was judged where it was asked for. */
function refuseTakeover(state: TrafficState, change: Change): void {
  const moved = new Set(change.domainsInMemory?.set?.map(([host]) => host));
  for (const { host, projectId } of change.setAliases ?? []) {
    if (moved.has(host) || !isHeldByAnother(state, host, projectId)) continue;
    throw new AppError(
      "conflict",
      `The host ${host} is in use by another project or is a deployment's own.`,
      {
        hint: "Choose another host, or remove it there first.",
      },
    );
  }
}

async function writePointers(tx: WriteTx, change: Change, deps: { clock: Clock; ids: Ids }): Promise<void> {
  const now = deps.clock.now();
  if (change.setPromoted) {
    const { deploymentId, at } = change.setPromoted;
    await tx
      .updateTable("deployments")
      .set((eb) => ({ substate: "PROMOTED", promoted_at: eb.fn.coalesce("promoted_at", eb.val(at)) }))
      .where("id", "=", deploymentId)
      .execute();
  }
  // Removed first: a release that goes takes the aliases named beside it along.
  if (change.removeAliases && change.removeAliases.length > 0) {
    for (const table of ["aliases", "former_releases", "holds"] as const)
      await tx.deleteFrom(table).where("host", "in", change.removeAliases).execute();
  }
  if (!change.setAliases || change.setAliases.length === 0) return;
  const rows = change.setAliases.map((alias) => ({
    host: alias.host,
    uid: deps.ids("als"),
    project_id: alias.projectId,
    deployment_id: alias.deploymentId,
    kind: alias.kind,
    created_at: now,
    updated_at: now,
  }));
  await tx
    .insertInto("aliases")
    .values(rows)
    .onConflict((conflict) =>
      conflict.column("host").doUpdateSet((eb) => ({
        project_id: eb.ref("excluded.project_id"),
        deployment_id: eb.ref("excluded.deployment_id"),
        kind: eb.ref("excluded.kind"),
        updated_at: now,
      })),
    )
    .execute();
}

function apply(state: TrafficState, change: Change, generation: number): void {
  state.generation = generation;
  for (const host of change.removeAliases ?? []) {
    for (const byHost of [state.aliases, state.former, state.holds]) byHost.delete(host);
  }
  for (const id of change.removeReleases ?? []) state.releases.delete(id);
  if (change.removeReleases?.length) forget(state, new Set(change.removeReleases));
  for (const host of change.removeHolds ?? []) state.holds.delete(host);
  for (const { host, ...hold } of change.setHolds ?? []) state.holds.set(host, hold);
  const { settingsInMemory: said } = change;
  if (said) state.settings.set(said.projectId, said.settings);
  for (const host of change.domainsInMemory?.remove ?? []) state.domains.delete(host);
  for (const [host, domain] of change.domainsInMemory?.set ?? []) state.domains.set(host, domain);
  for (const { host, until } of change.goneInMemory ?? []) state.gone.set(host, until);
  for (const release of change.addReleases ?? []) state.releases.set(release.id, release);
  for (const { host, deploymentId, projectId, kind } of change.setAliases ?? []) {
    state.aliases.set(host, { deploymentId, projectId, kind });
  }
  const follow = change.autoAssignInMemory;
  if (follow?.value === true) state.manual.delete(follow.projectId);
  if (follow?.value === false) state.manual.add(follow.projectId);
  const promoted = change.setPromoted && state.releases.get(change.setPromoted.deploymentId);
  if (promoted && change.setPromoted) {
    state.releases.set(promoted.id, {
      ...promoted,
      promotedAt: promoted.promotedAt ?? change.setPromoted.at,
    });
  }
  for (const { projectId, rollout } of change.setRollouts ?? []) {
    if (rollout) state.rollouts.set(projectId, rollout);
    else state.rollouts.delete(projectId);
  }
}

/** A release that is gone is nobody's former one: its row may be away. */
function forget(state: TrafficState, gone: ReadonlySet<string>): void {
  for (const [host, list] of state.former) {
    if (list.some((one) => gone.has(one.deploymentId)))
      state.former.set(
        host,
        list.filter((one) => !gone.has(one.deploymentId)),
      );
  }
}
