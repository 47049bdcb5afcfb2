/**
 * Every state of a deployment, and the only states that each may move to. The types, the SQL check and the diagram
 * in docs/deployments.md derive from this table (a test compares them).
 *
 * `superseded` and `rolled_back` are ends, with one door: a rollback puts such a release back into service.
 */
export const TRANSITIONS = {
  queued: ["preparing", "failed", "canceled", "superseded"],
  preparing: ["building", "failed", "canceled"],
  building: ["verifying", "failed", "canceled"],
  verifying: ["awaiting_approval", "migrating", "releasing", "failed", "canceled"],
  awaiting_approval: ["migrating", "releasing", "rejected", "failed", "canceled"],
  // Back to waiting: what was approved is asked for again at the last moment, and may not hold any more.
  migrating: ["releasing", "awaiting_approval", "failed", "canceled"],
  releasing: ["shifting", "awaiting_approval", "failed", "canceled"],
  shifting: ["live", "rolling_back", "failed"],
  live: ["superseded", "rolling_back"],
  rolling_back: ["rolled_back", "failed"],
  superseded: ["live"],
  rolled_back: ["live"],
  failed: [],
  canceled: [],
  rejected: [],
} as const;

export type State = keyof typeof TRANSITIONS;
export type Next<S extends State> = (typeof TRANSITIONS)[S][number];

export const STATES = Object.keys(TRANSITIONS) as readonly State[];

/** States in which a deployment holds its environment: at most one of them for each (project, environment, branch). */
export const ACTIVE = [
  "preparing",
  "building",
  "verifying",
  "awaiting_approval",
  "migrating",
  "releasing",
  "shifting",
  "rolling_back",
] as const satisfies readonly State[];

/** States that nothing leaves by itself. `live` is one: only a newer deployment or a person moves it. */
export const SETTLED = [
  "live",
  "failed",
  "canceled",
  "rejected",
  "superseded",
  "rolled_back",
] as const satisfies readonly State[];

export function isState(text: string): text is State {
  return Object.hasOwn(TRANSITIONS, text);
}

export function isActive(state: State): boolean {
  return (ACTIVE as readonly State[]).includes(state);
}

export function isSettled(state: State): boolean {
  return (SETTLED as readonly State[]).includes(state);
}

export function mayMove(from: State, to: State): boolean {
  return (TRANSITIONS[from] as readonly State[]).includes(to);
}

/** The table as a Mermaid state diagram. */
export function stateDiagram(): string {
  const arrows = STATES.flatMap((from) => TRANSITIONS[from].map((to) => `  ${from} --> ${to}`));
  return ["stateDiagram-v2", "  [*] --> queued", ...arrows].join("\n");
}
