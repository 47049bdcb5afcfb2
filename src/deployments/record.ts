import type { Rollout } from "../rollouts/index.ts";
import type { EnvironmentName, Place } from "../targets/target.ts";
import type { HealthPolicy, Plan, Source } from "./plan-source.ts";
import type { State } from "./state.ts";

export type { Plan } from "./plan-source.ts";

/** What the engine remembers between two looks. Kept in the row, so that any worker can go on. Times in epoch ms. */
export type Facts = {
  /** Failed tries of this state's side effect or observation, cleared by the next success. */
  readonly attempts?: { readonly count: number; readonly error: string } | undefined;
  /** Work is held up by what is neither the release's fault nor ours. Cleared by the next success. */
  readonly blocked?: BlockedFacts | undefined;
  /** When the last block ended: waiting for health counts from there. */
  readonly resumedAtMs?: number | undefined;
  readonly rollout?: Rollout | undefined;
  /** When it began to take traffic, and the lease under which it did. */
  readonly shifting?: { readonly atMs: number; readonly leaseToken: number } | undefined;
  /** A change of traffic was asked for, and nobody knows what came of it. */
  readonly unsureOfTraffic?: boolean | undefined;
  /** Another worker may have had a traffic change in flight when its lease was taken away: not settled before this. */
  readonly settleAtMs?: number | undefined;
  /** After the end: the build that may be under way at the target was asked for again, to be ended. */
  readonly cleanupAsked?: boolean | undefined;
  /** When its turn came. */
  readonly startedAtMs?: number | undefined;
  /** Time that passed while people were waited for: it does not count against the progress deadline. */
  readonly waitedMs?: number | undefined;
  /** Since when a rollout waits for a person now. */
  readonly pausedAtMs?: number | undefined;
  /** When it first asked to take traffic: wait timers and the expiry of approvals count from here. */
  readonly askedAtMs?: number | undefined;
  readonly schema?: SchemaFacts | undefined;
  /** `queued`: what its turn waits for beside its place, such as a lock. */
  readonly waitsFor?: string | undefined;
  /** What a reader of a live deployment should know although it serves. */
  readonly problem?: string | undefined;
  readonly rollback?: RollbackFacts | undefined;
};

export type BlockedFacts = {
  /** The target asks us to wait, or does not answer anybody. */
  readonly by: "rate_limit" | "outage";
  readonly reason: string;
  readonly sinceMs: number;
  /** The next try. */
  readonly untilMs: number;
  /** What was left of the state's deadline when it began; null: the deadline runs on. */
  readonly leftMs: number | null;
};

export type SchemaFacts = {
  /** The requests of its hosts are held, or are about to be: they have to be let go again. */
  readonly held: boolean;
  /** The hold was taken. */
  readonly holding?: boolean | undefined;
  readonly expanded: boolean;
  /** The newest migration of each phase that was applied when this release went live; null: none. */
  readonly version: { readonly expand: string | null; readonly contract: string | null };
};

export type RollbackFacts = {
  /** Since when the release to go back to has been asked for a sign of life. */
  readonly askedAtMs: number;
  /** It answered its probe, or was waited for long enough. */
  readonly ready: boolean;
  /** Weights that the former release gets on its way back, and where it is. Empty: at once. */
  readonly steps: readonly { readonly weight: number; readonly bakeMs: number }[];
  readonly index: number;
  readonly reachedAtMs: number | null;
};

export type Verification = {
  /** Since when every probe was good; null: the last one failed, or none was made. */
  readonly healthySinceMs: number | null;
  readonly lastFailure: string | null;
};

/** One of the things that a deployment deploys, with what the target made of it. Kept in the row, in shifting order. */
export type ServiceRelease = {
  readonly name: string;
  readonly targetProject: string;
  readonly targetProjectId: string;
  readonly inputs: string;
  readonly health: HealthPolicy;
  /** Deployments of others to the same project wait for our check. */
  readonly checked?: boolean | undefined;
  /** It has the inputs of the release that serves, and so keeps that release: nothing is built or shifted. */
  readonly unchanged: boolean;
  readonly targetDeploymentId: string | null;
  /** Immutable address of this release. */
  readonly url: string | null;
  /** Public addresses, the main one first. */
  readonly urls: readonly string[];
  readonly kind: "static" | "server" | "unknown" | null;
  readonly built: boolean;
  readonly reused: boolean;
  readonly buildStartedAtMs: number | null;
  readonly verification: Verification | null;
  /** Its canary can be reached by those who ask for it, at a weight of 0. */
  readonly opened: boolean;
  /** Share of the traffic when it was last observed, in percent. */
  readonly weight: number;
  /** Who had the traffic at the target when this one began to take it, and that release's own address. */
  readonly previousTargetId: string | null;
  readonly previousUrl: string | null;
  /** Set while rolling back: where the traffic goes. */
  readonly rollbackToTargetId: string | null;
  readonly rollbackToUrl: string | null;
};

/**
 * What is owed to the target after a deployment has ended: end its builds, let its releases go, or take the place's
 * hosts away as well.
 */
export type Cleanup = "cancel_build" | "retire" | "vacate";

/**
 * How a deployment ended, and whose business that is: `failure` is the user's code or configuration, `error` is ours
 * or the platform's, `cancellation` is a person's will, `skip` gave way before it began.
 */
export const OUTCOMES = ["success", "failure", "error", "timeout", "cancellation", "skip"] as const;
export type DeploymentOutcome = (typeof OUTCOMES)[number];

export type Deployment = {
  readonly id: string;
  /** Order of arrival. */
  readonly seq: number;
  readonly projectId: string;
  readonly project: string;
  readonly environment: EnvironmentName;
  /** What traffic it competes for: the environment, and for previews the pull request or the branch. */
  readonly slot: string;
  readonly branch: string | null;
  readonly pullRequest: number | null;
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
  readonly leaseOwner: string | null;
  readonly leaseUntil: Date | null;
  readonly wakeAt: Date | null;
  readonly plan: Plan | null;
  readonly facts: Facts;
  readonly services: readonly ServiceRelease[];
  /** The lowest weight of the services that change, when it was last observed. */
  readonly weight: number;
  /** Set while rolling back, when the release that traffic goes to has a deployment of ours. */
  readonly rollbackToId: string | null;
  /** Set on a release that a rollback put back into service: the deployment that was rolled back. */
  readonly rollbackOf: string | null;
  readonly cleanup: Cleanup | null;
  /** Set on a live one: when the contract migrations of its commit may run. */
  readonly contractAt: Date | null;
  readonly outcome: DeploymentOutcome | null;
  readonly logsComplete: boolean;
  /** When it last became live; null: it never was. */
  readonly liveAt: Date | null;
  readonly retiredAt: Date | null;
  readonly actorId: string | null;
  readonly actor: string;
  readonly idempotencyKey: string | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
};

/** The key under which a side effect happens at most once. */
export function effectKey(deployment: Pick<Deployment, "id" | "generation">, step: string): string {
  return `${deployment.id}:${deployment.generation}:${step}`;
}

/** What traffic a deployment competes for. A pull request keeps its place when its branch is renamed or used again. */
export function slotOf(
  environment: EnvironmentName,
  branch: string | null,
  pullRequest: number | null,
): string {
  if (environment !== "preview") return environment;
  if (pullRequest !== null) return `preview:pr-${pullRequest}`;
  // A branch may be called as a pull request goes; no branch has a colon in its name (git-check-ref-format).
  return branch !== null && /^pr-\d+$/.test(branch) ? `preview:branch:${branch}` : `preview:${branch ?? ""}`;
}

/** Where one service's traffic is decided. */
export function placeOf(
  { environment, branch, pullRequest }: Pick<Deployment, "environment" | "branch" | "pullRequest">,
  { targetProjectId, targetProject }: Pick<ServiceRelease, "targetProjectId" | "targetProject">,
): Place {
  return { targetProjectId, project: targetProject, environment, branch, pullRequest };
}
