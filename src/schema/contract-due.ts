export type ContractTiming = {
  /** When the release got all traffic. */
  readonly liveAt: Date;
  /** When its predecessor had answered its last request; null: it has not yet. */
  readonly drainedAt: Date | null;
  /** How long after `liveAt` a rollback to the predecessor must stay possible. */
  readonly rollbackWindowMs: number;
  /** A person holds it back. */
  readonly held?: boolean;
};

export type ContractWait = {
  readonly why: "held" | "draining" | "rollback_window";
  /** When to look again; null: whoever holds it, or the drain, says so. */
  readonly until: Date | null;
};

/** When the contract may run: drained, and the window closed. Null while that is unknown (held, or draining). Pure. */
export function contractDue({ liveAt, drainedAt, rollbackWindowMs, held }: ContractTiming): Date | null {
  if (held === true || drainedAt === null) return null;
  return new Date(Math.max(drainedAt.getTime(), liveAt.getTime() + rollbackWindowMs));
}

/** What the contract still waits for; null: it is due. Pure. */
export function contractWait(timing: ContractTiming & { readonly now: Date }): ContractWait | null {
  const due = contractDue(timing);
  if (due === null) return { why: timing.held === true ? "held" : "draining", until: null };
  return due.getTime() <= timing.now.getTime() ? null : { why: "rollback_window", until: due };
}
