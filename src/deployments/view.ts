import type { Database } from "../foundation/db.ts";
import { approvalDigest } from "./decide-gate.ts";
import type { Deployment } from "./record.ts";
import { mainService } from "./services.ts";
import { isSettled, type State } from "./state.ts";
import type { EngineTables } from "./tables.ts";

export type Phase = { readonly state: State; readonly at: string; readonly durationMs: number | null };

/** A deployment as the API shows it. */
export type DeploymentView = {
  readonly id: string;
  readonly project: string;
  readonly environment: Deployment["environment"];
  readonly branch: string | null;
  readonly pullRequest: number | null;
  readonly commit: string | null;
  readonly message: string | null;
  readonly dirty: boolean;
  readonly state: State;
  readonly reason: string | null;
  readonly hint: string | null;
  /** Immutable address of this very release; of several services, the last one's. */
  readonly url: string | null;
  /** The environment's public addresses, the main one first. */
  readonly urls: readonly string[];
  readonly targetDeploymentId: string | null;
  readonly services: readonly ServiceView[];
  readonly strategy: NonNullable<Deployment["plan"]>["strategy"] | null;
  /** Where the rollout is, and what was judged; null before traffic moves. */
  readonly rollout: RolloutView | null;
  /** What an approval given now is bound to; null: there is nothing to approve yet. */
  readonly approvalDigest: string | null;
  /** The newest migrations of each phase that were applied for this release. */
  readonly schemaVersion: { readonly expand: string | null; readonly contract: string | null } | null;
  /** When its contract migrations run; null: none are to come. */
  readonly contractAt: string | null;
  readonly outcome: Deployment["outcome"];
  /** What holds its work up, and until when; neither the release's fault nor a failure. */
  readonly blocked: BlockedView | null;
  /** What a reader should know although it serves. */
  readonly problem: string | null;
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

export type BlockedView = {
  readonly by: "rate_limit" | "outage";
  readonly reason: string;
  readonly since: string;
  readonly until: string;
};

export type ServiceView = {
  readonly name: string;
  readonly url: string | null;
  readonly urls: readonly string[];
  readonly targetDeploymentId: string | null;
  readonly previousTargetId: string | null;
  readonly kind: "static" | "server" | "unknown" | null;
  readonly weight: number;
  readonly unchanged: boolean;
  readonly reused: boolean;
};

export type RolloutView = {
  readonly stages: readonly { readonly weight: number; readonly bakeMs: number | null }[];
  readonly index: number;
  readonly paused: { readonly since: string; readonly by: string; readonly reason: string | null } | null;
  /** Newest last. */
  readonly verdicts: readonly {
    readonly at: string;
    readonly weight: number;
    readonly name: string;
    readonly is: "pass" | "fail" | "inconclusive";
    readonly reason: string;
  }[];
  readonly notes: readonly string[];
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
  const main = mainService(deployment);
  const built = deployment.services.some((service) => service.built);
  return {
    id: deployment.id,
    project: deployment.project,
    environment: deployment.environment,
    branch: deployment.branch,
    pullRequest: deployment.pullRequest,
    commit: commit.sha,
    message: commit.message,
    dirty: commit.dirty,
    state: deployment.state,
    reason: deployment.reason ?? deployment.facts.waitsFor ?? null,
    hint: deployment.hint,
    url: main?.url ?? null,
    urls: main?.urls ?? [],
    targetDeploymentId: main?.targetDeploymentId ?? null,
    services: deployment.services.map(serviceView),
    strategy: deployment.plan?.strategy ?? null,
    rollout: rolloutView(deployment),
    approvalDigest: built ? approvalDigest(deployment) : null,
    schemaVersion: deployment.facts.schema?.version ?? null,
    contractAt: deployment.contractAt?.toISOString() ?? null,
    outcome: deployment.outcome,
    blocked: blockedView(deployment),
    problem: deployment.facts.problem ?? null,
    weight: deployment.weight,
    progress: progressOf(deployment, phases),
    reused: deployment.services.length > 0 && deployment.services.every((service) => service.reused),
    createdAt: deployment.createdAt.toISOString(),
    updatedAt: deployment.updatedAt.toISOString(),
    deadlineAt: deployment.deadlineAt?.toISOString() ?? null,
    buildStartedAt: buildStartedAt(deployment),
    finishedAt: deployment.finishedAt?.toISOString() ?? null,
    phases,
    rollbackOf: deployment.rollbackOf,
    actor: deployment.actor,
  };
}

function serviceView(service: Deployment["services"][number]): ServiceView {
  const { name, url, urls, targetDeploymentId, previousTargetId, kind, weight, unchanged, reused } = service;
  return { name, url, urls, targetDeploymentId, previousTargetId, kind, weight, unchanged, reused };
}

function rolloutView({ facts: { rollout } }: Deployment): RolloutView | null {
  if (!rollout) return null;
  const { stages, index, paused, verdicts, notes } = rollout;
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    stages,
    index,
    paused: paused && { since: iso(paused.sinceMs), by: paused.by, reason: paused.reason },
    verdicts: verdicts.map(({ atMs, weight, name, is, reason }) => ({
      at: iso(atMs),
      weight,
      name,
      is,
      reason,
    })),
    notes,
  };
}

function blockedView({ facts: { blocked }, state }: Deployment): BlockedView | null {
  if (!blocked || isSettled(state)) return null;
  const { by, reason, sinceMs, untilMs } = blocked;
  return { by, reason, since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString() };
}

function buildStartedAt({ services }: Deployment): string | null {
  const times = services.flatMap(({ buildStartedAtMs }) => buildStartedAtMs ?? []);
  return times.length === 0 ? null : new Date(Math.min(...times)).toISOString();
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
