import type { Rollout, Strategy } from "../rollouts/index.ts";
import type { EnvironmentName, Place } from "../targets/target.ts";
import type { HealthPolicy, Source } from "./plan-source.ts";
import type { State } from "./state.ts";

/** What `prepare` found, without the files and variables (those are read again when they are needed). */
export type Plan = {
  readonly strategy: Strategy;
  readonly health: HealthPolicy;
  readonly targetProjectId: string;
};

/** What the engine remembers between two looks. Kept in the row, so that any worker can go on. Times in epoch ms. */
export type Facts = {
  /** Failed tries of this state's side effect or observation, cleared by the next success. */
  readonly attempts?: { readonly count: number; readonly error: string } | undefined;
  readonly verification?: Verification | undefined;
  readonly rollout?: Rollout | undefined;
  /** Another worker may have had a traffic change in flight when its lease was taken away: not settled before this. */
  readonly settleAtMs?: number | undefined;
};

export type Verification = {
  /** Since when every probe was good; null: the last one failed, or none was made. */
  readonly healthySinceMs: number | null;
  readonly lastFailure: string | null;
};

/** What is owed to the target after a deployment has ended: end its build, or let its release go. */
export type Cleanup = "cancel_build" | "retire";

export type Deployment = {
  readonly id: string;
  /** Order of arrival. */
  readonly seq: number;
  readonly projectId: string;
  readonly project: string;
  readonly environment: EnvironmentName;
  /** What traffic it competes for: the environment, and for previews the branch. */
  readonly slot: string;
  readonly branch: string | null;
  readonly commit: { readonly sha: string | null; readonly message: string | null; readonly dirty: boolean };
  readonly source: Source;
  readonly force: boolean;
  /** Part of every side effect's idempotency key. */
  readonly generation: number;
  readonly state: State;
  readonly stateSince: Date;
  readonly deadlineAt: Date | null;
  readonly reason: string | null;
  readonly hint: string | null;
  readonly leaseToken: number;
  readonly leaseUntil: Date | null;
  readonly wakeAt: Date | null;
  readonly plan: Plan | null;
  readonly facts: Facts;
  readonly targetDeploymentId: string | null;
  readonly url: string | null;
  readonly urls: readonly string[];
  readonly kind: "static" | "server" | "unknown" | null;
  readonly reused: boolean;
  readonly buildStartedAt: Date | null;
  /** Share of the environment's traffic when it was last observed, in percent. */
  readonly weight: number;
  /** Who had the traffic at the target when this one began to take it. */
  readonly previousTargetId: string | null;
  /** Set while rolling back: where the traffic goes (`rollbackToId` is ours and may be unknown). */
  readonly rollbackToId: string | null;
  readonly rollbackToTargetId: string | null;
  /** Set on a release that a rollback put back into service: the deployment that was rolled back. */
  readonly rollbackOf: string | null;
  readonly cleanup: Cleanup | null;
  readonly logsComplete: boolean;
  /** When it last became live; null: it never was. */
  readonly liveAt: Date | null;
  readonly retiredAt: Date | null;
  readonly actor: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
};

/** A lease that this worker holds. Every write names the token, so one that was taken over writes nothing. */
export type Held = { readonly id: string; readonly token: number };

/** The key under which a side effect happens at most once. */
export function effectKey(deployment: Pick<Deployment, "id" | "generation">, step: string): string {
  return `${deployment.id}:${deployment.generation}:${step}`;
}

export function slotOf(environment: EnvironmentName, branch: string | null): string {
  return environment === "preview" ? `preview:${branch ?? ""}` : environment;
}

/** Where its traffic is decided; null while nothing is prepared. */
export function placeOf(deployment: Deployment): Place | null {
  if (!deployment.plan) return null;
  const { project, environment, branch, plan } = deployment;
  return { targetProjectId: plan.targetProjectId, project, environment, branch };
}
