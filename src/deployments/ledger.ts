import type { AuditEntry } from "../access/index.ts";
import type { Signal } from "../rollouts/index.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { DeploymentEvent } from "./events.ts";
import type { Source } from "./plan-source.ts";
import type { Deployment } from "./record.ts";
import type { State } from "./state.ts";

/** Columns that a write sets, in the words of `Deployment`. */
export type Columns = Partial<Omit<Deployment, "id" | "seq" | "projectId" | "project" | "slot">>;

/** Which row a write means. One that is in another state or under another lease is not changed. */
export type Condition = {
  readonly id: string;
  readonly state?: State;
  readonly leaseToken?: number;
};

export type NewDeployment = Omit<Deployment, "seq" | "project">;

export type ProjectName = { readonly id: string; readonly name: string };

/** A rollback that a person asked for, as it was meant. */
export type RollbackIntent = {
  readonly id: string;
  readonly projectId: string;
  readonly fromId: string | null;
  readonly toId: string;
  readonly stopped: readonly string[];
  readonly reason: string | null;
  readonly actorId: string | null;
  readonly actorName: string;
  readonly idempotencyKey: string | null;
  readonly createdAt: Date;
};

/** Reads and writes of one transaction, or of none. */
export type LedgerTx = {
  load(id: string): Promise<Deployment | null>;
  /** The row after the write; null: no row met the condition. `bumpToken` ends whatever lease it has. */
  update(where: Condition, set: Columns, options?: { bumpToken?: boolean }): Promise<Deployment | null>;
  insert(row: NewDeployment): Promise<Deployment>;
  liveOf(projectId: string, slot: string): Promise<Deployment | null>;
  /** What competes for a place, and what could serve it again; newest first. */
  place(projectId: string, slot: string): Promise<Deployment[]>;
  /** Queued ones of a place, first come first. */
  queuedIn(projectId: string, slot: string): Promise<Deployment[]>;
  /** Releases that were live and are kept; newest first. */
  retained(projectId: string, slot: string): Promise<Deployment[]>;
  /** True when a deployment besides `id` that may serve has this release at the target. */
  releaseInUse(targetDeploymentId: string, besides: string): Promise<boolean>;
  /** Says what happened to who watches the deployment; with `wake` to who works on it as well. */
  event(event: DeploymentEvent, wake?: boolean): Promise<void>;
  /** Who works on deployments looks at this one now. */
  wake(id: string): Promise<void>;
  /** A wake-up that survives all processes. */
  wakeAt(id: string, at: Date): Promise<void>;
  intent(intent: RollbackIntent): Promise<void>;
  signal(signal: Omit<Signal, "id"> & { deploymentId: string; at: Date }): Promise<void>;
  audit(entry: AuditEntry): Promise<void>;
};

/**
 * Where deployments are kept, for the engine and its verbs: Postgres (`ledger-postgres.ts`); memory for the
 * simulation, which must take the same ways (`test/contract/ledger.ts`).
 */
export type Ledger = LedgerTx & {
  /**
   * All of it or nothing. @throws `LedgerConflict` when somebody else's write came in between, and what `work` throws.
   */
  transaction<T>(work: (tx: LedgerTx) => Promise<T>): Promise<T>;
  /**
   * Takes the lease of a deployment that has work left and no other owner. Null: somebody else has it, or nothing is
   * left. Its own owner gets it again: after an error it does not know what it holds.
   */
  claim(id: string, owner: string, now: Date, until: Date): Promise<Deployment | null>;
  /** Keeps a lease. False: it was taken over, so stop. */
  renew(held: Deployment, until: Date): Promise<boolean>;
  /** Gives a lease back with work left: whoever comes next goes on at once. */
  release(held: Deployment): Promise<void>;
  /** Tells the next owner of a rollback that nothing of this one is under way at the target any more. */
  letGo(held: Deployment): Promise<void>;
  /** Deployments with work left, no live owner, and no reason to wait. */
  due(now: Date, limit: number): Promise<string[]>;
  /** Who has to end or start before a queued one may: the active one of its place, or an earlier arrival. */
  blockedBy(deployment: Deployment): Promise<string | null>;
  signals(deploymentId: string, after: number): Promise<Signal[]>;
  logTail(id: string, lines: number): Promise<string[]>;
  findProjects(name: string | undefined): Promise<ProjectName[]>;
  findByKey(actorId: string | null, key: string): Promise<Deployment | null>;
  findIntent(actorId: string | null, key: string): Promise<RollbackIntent | null>;
  /** Where a project's deployments came from, newest first. */
  sources(
    projectId: string,
    branch: string | undefined,
  ): Promise<{ source: Source; commit: string | null }[]>;
  /** Places of an environment that are in use. */
  slots(
    projectId: string,
    environment: EnvironmentName,
  ): Promise<{ slot: string; branch: string | null; pullRequest: number | null }[]>;
};

/**
 * `conflict`: two transactions met and this one must be decided anew; `occupied`: the place has an active or a live
 * deployment already; `known`: the idempotency key is in use.
 */
export class LedgerConflict extends Error {
  readonly kind: "conflict" | "occupied" | "known";
  constructor(kind: LedgerConflict["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}
