import { type Deployment, isFailed, type Phase } from "../client/deployment.ts";

type Words = { readonly during: string; readonly done: string; readonly broken: string };

/** What each phase of a deployment is called while it lasts, when it is over, and when it went wrong. */
const WORDS: Readonly<Record<string, Words>> = {
  queued: { during: "Waiting for its turn", done: "Queued", broken: "Taken out of the queue" },
  preparing: { during: "Preparing", done: "Prepared", broken: "Preparation failed" },
  building: { during: "Building", done: "Built", broken: "Build failed" },
  verifying: { during: "Checking health", done: "Healthy", broken: "Health check failed" },
  awaiting_approval: { during: "Waiting for approval", done: "Approved", broken: "Not approved" },
  migrating: { during: "Migrating", done: "Migrated", broken: "Migration failed" },
  releasing: { during: "Releasing", done: "Released", broken: "Release failed" },
  shifting: { during: "Shifting traffic", done: "Traffic shifted", broken: "Traffic shift stopped" },
  rolling_back: { during: "Rolling back", done: "Traffic taken back", broken: "Rollback failed" },
};

export type PhaseLine = {
  readonly state: string;
  readonly label: string;
  readonly outcome: "done" | "broken" | "now";
  /** Null while it lasts. */
  readonly durationMs: number | null;
};

/** The phases that a deployment went through, in order, the present one last. Terminal states are not phases here. */
export function phaseLines(
  deployment: Pick<Deployment, "state" | "phases" | "reused">,
): readonly PhaseLine[] {
  return deployment.phases.flatMap((phase, index) => {
    const words = WORDS[phase.state];
    if (words === undefined) return [];
    const outcome = outcomeOf(deployment, phase, deployment.phases[index + 1]);
    const label = outcome === "now" ? words.during : outcome === "broken" ? words.broken : words.done;
    const reused = phase.state === "building" && outcome === "done" && deployment.reused;
    return [
      {
        state: phase.state,
        label: reused ? "Built before: the same files and settings, reused" : label,
        outcome,
        durationMs: phase.durationMs,
      },
    ];
  });
}

function outcomeOf(
  deployment: Pick<Deployment, "state">,
  phase: Phase,
  next: Phase | undefined,
): PhaseLine["outcome"] {
  if (phase.durationMs === null && phase.state === deployment.state) return "now";
  const after = next?.state ?? deployment.state;
  if (phase.state === "rolling_back") return after === "failed" ? "broken" : "done";
  return isFailed(after) ? "broken" : "done";
}

/** The new release's share of the traffic, `10 %`, where it is neither nothing nor all. */
export function weightText(deployment: Pick<Deployment, "state" | "weight">): string | null {
  const { state, weight } = deployment;
  if (state !== "shifting" || weight === null || weight <= 0 || weight >= 100) return null;
  return `${Math.round(weight)} %`;
}
