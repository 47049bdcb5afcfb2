/** A release that had a host before the one that has it now. */
export type Former = {
  readonly deploymentId: string;
  readonly supersededAt: Date;
  /** Visitors whose cookie names it keep it until then; null: they do not. */
  readonly drainUntil: Date | null;
  /** It lost the host by going back: nobody is sent to it any more, whatever they name. */
  readonly rolledBack: boolean;
};

/** So many of a host's former releases are always remembered: a rollback may need them. */
export const FORMER_KEPT = 5;
const REMEMBERED_MS = 30 * 24 * 60 * 60_000;
const MOST = 100;

type Holder = { readonly id: string; readonly createdAt: Date | null };

/**
 * The former releases of a host once it has moved, newest first. Pure. Going back is a rollback, and so is moving to
 * what was made earlier: the one that is left is bad, and nobody is kept anywhere.
 * @param move.drainMs how long visitors may keep what is left; 0: not at all
 */
export function formerAfter(
  former: readonly Former[],
  move: { from: Holder | null; to: Holder; isRollback: boolean; drainMs: number; now: Date },
): readonly Former[] {
  const { from, to, now } = move;
  const isOlder = from?.createdAt && to.createdAt && to.createdAt < from.createdAt;
  const isBack = move.isRollback || isOlder === true;
  const others = former
    .filter((one) => one.deploymentId !== to.id && one.deploymentId !== from?.id)
    .map((one) => (isBack && one.drainUntil !== null ? { ...one, drainUntil: null } : one));
  if (from === null || from.id === to.id) return others;
  const keeps = !isBack && move.drainMs > 0;
  const left: Former = {
    deploymentId: from.id,
    supersededAt: now,
    drainUntil: keeps ? new Date(now.getTime() + move.drainMs) : null,
    rolledBack: isBack,
  };
  return [left, ...others].filter(
    (one, index) =>
      index < FORMER_KEPT || (index < MOST && now.getTime() - one.supersededAt.getTime() < REMEMBERED_MS),
  );
}

/** Those whose visitors are still kept. */
export function draining(former: readonly Former[] | undefined, now: Date): Former[] {
  return former?.filter((one) => one.drainUntil !== null && one.drainUntil > now) ?? [];
}
