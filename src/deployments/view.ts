import type { Database } from "../foundation/db.ts";
import type { Deployment } from "./record.ts";
import { isSettled, type State } from "./state.ts";
import type { EngineTables } from "./tables.ts";

export type Phase = { readonly state: State; readonly at: string; readonly durationMs: number | null };

/** A deployment as the API shows it. */
export type DeploymentView = {
  readonly id: string;
  readonly project: string;
  readonly environment: Deployment["environment"];
  readonly branch: string | null;
  readonly commit: string | null;
  readonly message: string | null;
  readonly dirty: boolean;
  readonly state: State;
  readonly reason: string | null;
  readonly hint: string | null;
  /** Immutable address of this very release. */
  readonly url: string | null;
  /** The environment's public addresses, the main one first. */
  readonly urls: readonly string[];
  readonly targetDeploymentId: string | null;
  readonly strategy: NonNullable<Deployment["plan"]>["strategy"] | null;
  readonly weight: number;
  /** 0 to 1. */
  readonly progress: number;
  readonly reused: boolean;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly deadlineAt: string | null;
  readonly buildStartedAt: string | null;
  readonly finishedAt: string | null;
  readonly phases: readonly Phase[];
  readonly rollbackOf: string | null;
  readonly actor: string;
};

/** Deployments with their phases, in the order given. */
export async function viewsOf(
  db: Database<EngineTables>,
  deployments: readonly Deployment[],
): Promise<DeploymentView[]> {
  const phases = await phasesOf(
    db,
    deployments.map((deployment) => deployment.id),
  );
  return deployments.map((deployment) => viewOf(deployment, phases.get(deployment.id) ?? []));
}

/** One deployment with its phases. */
export async function viewOne(db: Database<EngineTables>, deployment: Deployment): Promise<DeploymentView> {
  const phases = await phasesOf(db, [deployment.id]);
  return viewOf(deployment, phases.get(deployment.id) ?? []);
}

function viewOf(deployment: Deployment, phases: readonly Phase[]): DeploymentView {
  const { commit } = deployment;
  return {
    id: deployment.id,
    project: deployment.project,
    environment: deployment.environment,
    branch: deployment.branch,
    commit: commit.sha,
    message: commit.message,
    dirty: commit.dirty,
    state: deployment.state,
    reason: deployment.reason,
    hint: deployment.hint,
    url: deployment.url,
    urls: deployment.urls,
    targetDeploymentId: deployment.targetDeploymentId,
    strategy: deployment.plan?.strategy ?? null,
    weight: deployment.weight,
    progress: progressOf(deployment, phases),
    reused: deployment.reused,
    createdAt: deployment.createdAt.toISOString(),
    updatedAt: deployment.updatedAt.toISOString(),
    deadlineAt: deployment.deadlineAt?.toISOString() ?? null,
    buildStartedAt: deployment.buildStartedAt?.toISOString() ?? null,
    finishedAt: deployment.finishedAt?.toISOString() ?? null,
    phases,
    rollbackOf: deployment.rollbackOf,
    actor: deployment.actor,
  };
}

/** How far along each state begins. What comes before is the larger part of a first build, so these are no clock. */
const PROGRESS: Partial<Record<State, number>> = {
  queued: 0,
  preparing: 0.05,
  building: 0.15,
  verifying: 0.5,
  awaiting_approval: 0.6,
  migrating: 0.6,
  releasing: 0.65,
  shifting: 0.7,
};

/** One that ended without success stays where it got to. */
function progressOf({ state, weight }: Deployment, phases: readonly Phase[]): number {
  if (state === "live" || state === "superseded") return 1;
  const reached = phases.findLast((phase) => PROGRESS[phase.state] !== undefined)?.state ?? "queued";
  const share = reached === "shifting" ? 0.3 * (weight / 100) : 0;
  return Math.round(((PROGRESS[reached] ?? 0) + share) * 100) / 100;
}

async function phasesOf(db: Database<EngineTables>, ids: readonly string[]): Promise<Map<string, Phase[]>> {
  if (ids.length === 0) return new Map();
  const events = await db
    .selectFrom("deployment_events")
    .select(["deployment_id", "at", "to_state"])
    .where("deployment_id", "in", [...ids])
    .where((eb) => eb.or([eb("from_state", "is", null), eb("from_state", "!=", eb.ref("to_state"))]))
    .orderBy("id")
    .execute();
  const byId = Map.groupBy(events, (event) => event.deployment_id);
  return new Map([...byId].map(([id, own]) => [id, own.map((event, at) => phaseOf(event, own[at + 1]?.at))]));
}

function phaseOf(event: { at: Date; to_state: State }, next: Date | undefined): Phase {
  const durationMs = next === undefined ? null : next.getTime() - event.at.getTime();
  return { state: event.to_state, at: event.at.toISOString(), durationMs };
}

export function isFinished(view: Pick<DeploymentView, "state">): boolean {
  return isSettled(view.state);
}
