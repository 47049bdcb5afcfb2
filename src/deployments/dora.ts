import { type DoraEvent, type Ending, readOutcome } from "./dora-outcome.ts";
import { type DeploymentOutcome, OUTCOMES } from "./record.ts";
import type { State } from "./state.ts";

/** A deployment with its history, as far as delivery is measured by it. */
export type DoraDeployment = Ending & {
  readonly id: string;
  /** What it competes for traffic in: one project's environment, and for previews the branch. */
  readonly place: string;
  readonly createdAt: Date;
  /** When its commit was made; null: unknown. */
  readonly committedAt: Date | null;
  /** In the order of their happening. */
  readonly events: readonly DoraEvent[];
};

/** Nearest rank, so that each is a value that was really measured; null: nothing was. */
export type Percentiles = {
  readonly count: number;
  readonly p50Ms: number | null;
  readonly p90Ms: number | null;
};

export type Delivery = {
  /** Deployments that went live for the first time. */
  readonly deploymentFrequency: {
    readonly count: number;
    readonly perDay: number;
    readonly activeDays: number;
  };
  /** Of the same deployments. `total` = `beforeTrigger` + `machine` + `approvalWait`, for each of them. */
  readonly leadTime: {
    /** From the commit where its time is known, else from the trigger, until it was live. */
    readonly total: Percentiles;
    /** From the commit to the trigger; only where the commit's time is known. */
    readonly beforeTrigger: Percentiles;
    readonly machine: Percentiles;
    /** Only of deployments that waited for an approval. */
    readonly approvalWait: Percentiles;
  };
  /** Of what began to take traffic and was not canceled: how much was taken back, or failed there. */
  readonly changeFailRate: {
    readonly changes: number;
    readonly failed: number;
    readonly rate: number | null;
  };
  /** From the detection of a failed change until its place was good again. `open`: not yet. */
  readonly recoveryTime: Percentiles & { readonly open: number };
  /** Of deployments that were triggered in the window. */
  readonly outcomes: Readonly<Record<DeploymentOutcome | "unfinished", number>>;
};

export type Window = { readonly from: Date; readonly to: Date };

const DAY_MS = 86_400_000;

/**
 * DORA's four measures over `[from, to)`, by what happened in it. Pure. No tier is given: their borders move every
 * year. `deployments` must hold everything that changed since `from`; older ones change nothing.
 */
export function measureDelivery(deployments: readonly DoraDeployment[], window: Window): Delivery {
  const inside = (at: Date | null): at is Date => at !== null && at >= window.from && at < window.to;
  const arrived = deployments.flatMap((deployment) => {
    const liveAt = firstLive(deployment);
    return inside(liveAt) ? [{ liveAt, lead: leadTimeOf(deployment, liveAt) }] : [];
  });
  const days = (window.to.getTime() - window.from.getTime()) / DAY_MS;
  const ended = deployments.map((deployment) => ({
    deployment,
    outcome: readOutcome(deployment, deployment.events),
  }));
  const changes = ended.filter(
    ({ deployment, outcome }) => inside(tookTrafficAt(deployment)) && isVerdict(outcome),
  );
  const failed = changes.filter(({ outcome }) => outcome !== "success");
  return {
    deploymentFrequency: {
      count: arrived.length,
      perDay: days > 0 ? arrived.length / days : 0,
      activeDays: new Set(arrived.map(({ liveAt }) => liveAt.toISOString().slice(0, 10))).size,
    },
    leadTime: {
      total: percentiles(arrived.map(({ lead }) => lead.totalMs)),
      beforeTrigger: percentiles(arrived.flatMap(({ lead }) => lead.beforeTriggerMs ?? [])),
      machine: percentiles(arrived.map(({ lead }) => lead.machineMs)),
      approvalWait: percentiles(
        arrived.flatMap(({ lead }) => (lead.approvalWaitMs > 0 ? lead.approvalWaitMs : [])),
      ),
    },
    changeFailRate: {
      changes: changes.length,
      failed: failed.length,
      rate: changes.length === 0 ? null : failed.length / changes.length,
    },
    recoveryTime: recoveryOf(deployments, inside),
    outcomes: countOutcomes(
      ended.filter(({ deployment }) => inside(deployment.createdAt)).map((each) => each.outcome),
    ),
  };
}

/** Whether a change was good or bad; not who stopped it, and not what we broke ourselves. */
function isVerdict(outcome: DeploymentOutcome | null): boolean {
  return outcome === "success" || outcome === "failure" || outcome === "timeout";
}

export type LeadTime = {
  readonly totalMs: number;
  /** Null: the commit's time is unknown. */
  readonly beforeTriggerMs: number | null;
  readonly machineMs: number;
  readonly approvalWaitMs: number;
};

/** Where the time until `liveAt` went. Pure; the parts add up to the total. */
export function leadTimeOf(deployment: DoraDeployment, liveAt: Date): LeadTime {
  const created = deployment.createdAt.getTime();
  // A commit from the future is a wrong clock somewhere, and took no time.
  const beforeTriggerMs = deployment.committedAt && Math.max(0, created - deployment.committedAt.getTime());
  const approvalWaitMs = timeIn("awaiting_approval", deployment.events, liveAt);
  const sinceTrigger = liveAt.getTime() - created;
  return {
    totalMs: (beforeTriggerMs ?? 0) + sinceTrigger,
    beforeTriggerMs,
    machineMs: sinceTrigger - approvalWaitMs,
    approvalWaitMs,
  };
}

function timeIn(state: State, events: readonly DoraEvent[], until: Date): number {
  const moves = movesOf(events);
  return moves.reduce((sum, event, index) => {
    if (event.to !== state || event.at >= until) return sum;
    const left = moves[index + 1]?.at ?? until;
    return sum + Math.min(left.getTime(), until.getTime()) - event.at.getTime();
  }, 0);
}

function firstLive({ events }: DoraDeployment): Date | null {
  return events.find((event) => event.from !== event.to && event.to === "live")?.at ?? null;
}

function tookTrafficAt({ events }: DoraDeployment): Date | null {
  return events.find((event) => event.from !== event.to && event.to === "shifting")?.at ?? null;
}

/** When it was noticed that a release is bad: it is being taken back, or it failed while it took traffic. */
function detectedAt({ events }: DoraDeployment): Date[] {
  return movesOf(events)
    .filter((event) => event.to === "rolling_back" || (event.from === "shifting" && event.to === "failed"))
    .map((event) => event.at);
}

function recoveryOf(deployments: readonly DoraDeployment[], inside: (at: Date | null) => at is Date) {
  const failures = deployments.flatMap((deployment) => {
    const outcome = readOutcome(deployment, deployment.events);
    // One that is being taken back now has no outcome yet, and is not good again.
    const counts = outcome === null || (isVerdict(outcome) && outcome !== "success") || outcome === "error";
    return counts
      ? detectedAt(deployment)
          .filter(inside)
          .map((at) => ({ deployment, at }))
      : [];
  });
  const byPlace = Map.groupBy(deployments, ({ place }) => place);
  const times = failures.map(({ deployment, at }) => {
    const good = goodAgain(byPlace.get(deployment.place) ?? [], deployment, at);
    return good && good.getTime() - at.getTime();
  });
  const closed = times.filter((time) => time !== null);
  return { ...percentiles(closed), open: times.length - closed.length };
}

/** The first moment from `since` on at which the traffic was back, or another release was live in the same place. */
function goodAgain(place: readonly DoraDeployment[], failed: DoraDeployment, since: Date): Date | null {
  const moments = place.flatMap(({ id, events }) =>
    movesOf(events)
      .filter((event) => event.at >= since && event.to === (id === failed.id ? "rolled_back" : "live"))
      .map((event) => event.at),
  );
  return moments.reduce<Date | null>((first, at) => (first === null || at < first ? at : first), null);
}

function movesOf(events: readonly DoraEvent[]): DoraEvent[] {
  return events.filter((event) => event.from !== event.to);
}

function countOutcomes(outcomes: readonly (DeploymentOutcome | null)[]): Delivery["outcomes"] {
  const count = (wanted: DeploymentOutcome | null) => outcomes.filter((outcome) => outcome === wanted).length;
  const counted = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, count(outcome)]));
  return { ...(counted as Record<DeploymentOutcome, number>), unfinished: count(null) };
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? null;
  return { count: sorted.length, p50Ms: at(0.5), p90Ms: at(0.9) };
}
