import type { AuditEntry } from "../../src/access/index.ts";
import type { DeploymentEvent } from "../../src/deployments/events.ts";
import {
  type Columns,
  type Condition,
  type Ledger,
  LedgerConflict,
  type LedgerTx,
  type NewDeployment,
  type ProjectName,
  type RollbackIntent,
} from "../../src/deployments/ledger.ts";
import type { Deployment } from "../../src/deployments/record.ts";
import { isActive } from "../../src/deployments/state.ts";
import type { Signal } from "../../src/rollouts/index.ts";

type Rows = {
  deployments: Map<string, Deployment>;
  events: DeploymentEvent[];
  intents: RollbackIntent[];
  signals: (Signal & { deploymentId: string })[];
  audit: AuditEntry[];
};

export type MemoryLedger = Ledger & {
  readonly rows: Readonly<Rows>;
  /** Called with each id that something happened to, once it is committed. */
  onWake: (id: string) => void;
};

/** What the parts of the ledger share. */
type Memory = {
  readonly rows: Rows;
  readonly projects: readonly ProjectName[];
  seq: number;
  signalId: number;
  onWake: (id: string) => void;
};

/** The ledger in memory: what Postgres does with these rows, in the same order and with the same refusals. */
export function createMemoryLedger(projects: readonly ProjectName[]): MemoryLedger {
  const rows: Rows = { deployments: new Map(), events: [], intents: [], signals: [], audit: [] };
  const memory: Memory = { rows, projects, seq: 0, signalId: 0, onWake: () => {} };
  const tx: LedgerTx = { ...writes(memory), ...reads(memory) };
  return {
    ...tx,
    ...leases(memory),
    ...questions(memory),
    transaction: (work) => transaction(memory, () => work(tx)),
    rows,
    get onWake() {
      return memory.onWake;
    },
    set onWake(call) {
      memory.onWake = call;
    },
  };
}

function all({ rows }: Memory): Deployment[] {
  return [...rows.deployments.values()];
}

function inPlace(memory: Memory, projectId: string, slot: string): Deployment[] {
  return all(memory).filter((each) => each.projectId === projectId && each.slot === slot);
}

function store({ rows }: Memory, next: Deployment): Deployment {
  refuseSecond(rows.deployments, next);
  rows.deployments.set(next.id, next);
  return next;
}

type Reads = "liveOf" | "place" | "queuedIn" | "retained" | "releaseInUse";
type Leases = "claim" | "renew" | "release" | "letGo";

function reads(memory: Memory): Pick<LedgerTx, Reads> {
  return {
    liveOf: async (projectId, slot) =>
      inPlace(memory, projectId, slot).find((each) => each.state === "live") ?? null,
    place: async (projectId, slot) =>
      inPlace(memory, projectId, slot)
        .filter(
          (each) =>
            each.state === "queued" ||
            each.state === "live" ||
            isActive(each.state) ||
            (isOver(each) && each.liveAt !== null && each.retiredAt === null),
        )
        .reverse(),
    queuedIn: async (projectId, slot) =>
      inPlace(memory, projectId, slot).filter((each) => each.state === "queued"),
    retained: async (projectId, slot) =>
      inPlace(memory, projectId, slot)
        .filter((each) => isOver(each) && each.liveAt && each.retiredAt === null && each.cleanup === null)
        .sort((a, b) => (b.liveAt?.getTime() ?? 0) - (a.liveAt?.getTime() ?? 0)),
    releaseInUse: async (release, besides) =>
      all(memory).some(
        (each) =>
          each.id !== besides &&
          each.retiredAt === null &&
          each.cleanup === null &&
          !["failed", "canceled", "rejected"].includes(each.state) &&
          each.services.some((service) => service.targetDeploymentId === release),
      ),
  };
}

function writes(memory: Memory): Omit<LedgerTx, Reads> {
  return {
    load: async (id) => memory.rows.deployments.get(id) ?? null,
    update: async (where, set, options) => {
      const before = memory.rows.deployments.get(where.id);
      if (!before || !meets(before, where)) return null;
      return store(memory, withColumns(before, set, options?.bumpToken === true));
    },
    insert: async (row: NewDeployment) => {
      const project = memory.projects.find((each) => each.id === row.projectId)?.name ?? "";
      return store(memory, { ...row, seq: ++memory.seq, project });
    },
    event: async (event) => {
      memory.rows.events.push(event);
      memory.onWake(event.deploymentId);
    },
    wake: async (id) => memory.onWake(id),
    wakeAt: async () => {},
    intent: async (intent) => void memory.rows.intents.push(intent),
    signal: async ({ deploymentId, kind, by, reason }) =>
      void memory.rows.signals.push({ id: ++memory.signalId, deploymentId, kind, by, reason }),
    audit: async (entry) => void memory.rows.audit.push(entry),
  };
}

async function transaction<T>(memory: Memory, work: () => Promise<T>): Promise<T> {
  const before = {
    deployments: new Map(memory.rows.deployments),
    events: memory.rows.events.length,
    intents: memory.rows.intents.length,
    signals: memory.rows.signals.length,
    audit: memory.rows.audit.length,
  };
  try {
    return await work();
  } catch (error) {
    memory.rows.deployments = before.deployments;
    for (const name of ["events", "intents", "signals", "audit"] as const)
      memory.rows[name].length = before[name];
    throw error;
  }
}

function leases(memory: Memory): Pick<Ledger, Leases> {
  return {
    async claim(id, owner, now, until) {
      const row = memory.rows.deployments.get(id);
      if (!row || !hasWork(row)) return null;
      if (row.leaseUntil !== null && row.leaseUntil > now && row.leaseOwner !== owner) return null;
      const lease = { leaseOwner: owner, leaseUntil: until, wakeAt: null };
      return store(memory, withColumns(row, lease, true));
    },
    async renew(held, until) {
      const row = memory.rows.deployments.get(held.id);
      if (row?.leaseToken !== held.leaseToken || row.state !== held.state) return false;
      store(memory, { ...row, leaseUntil: until });
      return true;
    },
    async release(held) {
      const row = memory.rows.deployments.get(held.id);
      if (row?.leaseToken !== held.leaseToken) return;
      store(memory, { ...row, leaseOwner: null, leaseUntil: null, wakeAt: null });
    },
    async letGo(held) {
      const row = memory.rows.deployments.get(held.id);
      if (row?.state !== "rolling_back" || row.leaseToken !== held.leaseToken + 1) return;
      const { settleAtMs: _, ...facts } = row.facts;
      store(memory, { ...row, facts });
    },
  };
}

function questions(memory: Memory): Omit<Ledger, keyof LedgerTx | Leases | "transaction"> {
  return {
    due: async (now, limit) =>
      all(memory)
        .filter(hasWork)
        .filter(({ leaseUntil, wakeAt }) => isOverAt(leaseUntil, now) && isOverAt(wakeAt, now))
        .slice(0, limit)
        .map(({ id }) => id),
    blockedBy: async (deployment) =>
      inPlace(memory, deployment.projectId, deployment.slot).find(
        ({ state, seq }) => isActive(state) || (state === "queued" && seq < deployment.seq),
      )?.id ?? null,
    signals: async (id, after) =>
      memory.rows.signals.filter((each) => each.deploymentId === id && each.id > after),
    logTail: async () => [],
    findProjects: async (name) => memory.projects.filter((each) => name === undefined || each.name === name),
    findByKey: async (actorId, key) =>
      all(memory).find((each) => each.idempotencyKey === key && (each.actorId ?? "") === (actorId ?? "")) ??
      null,
    findIntent: async (actorId, key) =>
      memory.rows.intents.find((each) => each.idempotencyKey === key && each.actorId === actorId) ?? null,
    sources: async (projectId, branch) =>
      all(memory)
        .filter((each) => each.projectId === projectId && (branch === undefined || each.branch === branch))
        .reverse()
        .map(({ source, commit }) => ({ source, commit: commit.sha })),
    slots: async (projectId, environment) => {
      const used = all(memory).filter(
        (each) =>
          each.projectId === projectId &&
          each.environment === environment &&
          (each.state === "queued" || each.state === "live" || isActive(each.state)),
      );
      const newest = new Map(used.map((each) => [each.slot, each]));
      return [...newest.values()]
        .sort((a, b) => (a.slot < b.slot ? -1 : 1))
        .map(({ slot, branch, pullRequest }) => ({ slot, branch, pullRequest }));
    },
  };
}

function meets(row: Deployment, { state, leaseToken }: Condition): boolean {
  return (
    (state === undefined || row.state === state) &&
    (leaseToken === undefined || row.leaseToken === leaseToken)
  );
}

function withColumns(row: Deployment, set: Columns, bumpToken: boolean): Deployment {
  const next: Record<string, unknown> = { ...row };
  for (const [name, value] of Object.entries(set)) if (value !== undefined) next[name] = value;
  if (bumpToken) next.leaseToken = row.leaseToken + 1;
  return next as Deployment;
}

function isOver({ state }: Deployment): boolean {
  return state === "superseded" || state === "rolled_back";
}

function hasWork({ state, cleanup, contractAt }: Deployment): boolean {
  return cleanup !== null || contractAt !== null || state === "queued" || isActive(state);
}

function isOverAt(time: Date | null, now: Date): boolean {
  return time === null || time <= now;
}

/** The unique indexes. */
function refuseSecond(rows: ReadonlyMap<string, Deployment>, next: Deployment): void {
  const own = isActive(next.state) ? isActive : (state: Deployment["state"]) => state === "live";
  const counts = isActive(next.state) || next.state === "live";
  for (const row of rows.values()) {
    if (row.id === next.id) continue;
    const isSamePlace = row.projectId === next.projectId && row.slot === next.slot;
    if (counts && isSamePlace && own(row.state)) throw new LedgerConflict("occupied", row.id);
    const key = next.idempotencyKey;
    if (key !== null && row.idempotencyKey === key && (row.actorId ?? "") === (next.actorId ?? ""))
      throw new LedgerConflict("known", key);
  }
}
