import type { Policy, State } from "./model.ts";

/** A check that this one depends on, as it is shown. Those that depend on this one in turn are not among them. */
export type Parent = { readonly id: string; readonly state: State; readonly since: number };

export type Suppression = {
  /** The parent whose trouble this is. */
  readonly by: string | null;
  /** It is over then, if it is only for the time that this one has to recover after its parent. */
  readonly endsAt: number | null;
};

/** Trouble below a parent that is down is no incident of its own, nor is it before there was time to look again. */
export function judgeSuppression(
  state: State,
  before: string | null,
  parents: readonly Parent[],
  policy: Pick<Policy, "intervalMs" | "timeoutMs">,
  now: number,
): Suppression {
  if (state === "up" || state === "unknown") return { by: null, endsAt: null };
  const down = parents.find((parent) => parent.state === "down" && parent.id === before);
  const any = down ?? parents.find((parent) => parent.state === "down");
  if (any) return { by: any.id, endsAt: null };
  const former = parents.find((parent) => parent.id === before);
  const endsAt = former ? former.since + policy.intervalMs + policy.timeoutMs : now;
  return endsAt > now ? { by: before, endsAt } : { by: null, endsAt: null };
}
