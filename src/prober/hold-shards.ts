import { CHECKS_CHANNEL, type CheckTables } from "../checks/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { notify } from "../foundation/notify.ts";
import { claimShards, liveProbers, readShards, releaseShards, renewShards } from "./queries.ts";
import { planShards, type ShardRow } from "./shares.ts";

export type ShardDeps = {
  readonly db: Database<CheckTables>;
  readonly clock: Clock;
  readonly log: Log;
  readonly location: string;
  readonly owner: string;
  /** Says that we are here: before the shares are worked out, so that others count us. */
  beat(): Promise<void>;
  /** These are ours now, and what was read of them before is old. */
  onClaimed(shards: readonly number[]): void;
  /** These are another's: nothing that ran for them may be written. */
  onLost(shards: readonly number[]): void;
  /** These go to another: ends what runs for them, and writes it. */
  drain(shards: readonly number[]): Promise<void>;
};

export type HeldShards = {
  /** By shard. What is written names them. */
  tokens(): ReadonlyMap<number, number>;
  /** Looks again now, and finds what has been taken over. */
  wake(): void;
  /** Gives everything back. */
  close(): Promise<void>;
};

export const LEASE_MS = 5_000;
const RENEW_MS = 1_500;
/** Who was not seen for so long counts no more: less than a lease, so that all of its shares are taken when it ends. */
const SEEN_MS = LEASE_MS - RENEW_MS;

/** Keeps our fair part of the location's shards: takes what is free, renews, gives back what is too much. */
export function holdShards(deps: ShardDeps): HeldShards {
  const { db, clock, location, owner } = deps;
  const tokens = new Map<number, number>();
  const until = () => new Date(clock.now().getTime() + LEASE_MS);

  function lose(shards: readonly number[]): void {
    const lost = shards.filter((shard) => tokens.delete(shard));
    if (lost.length > 0) deps.onLost(lost);
  }

  async function renew(): Promise<void> {
    if (tokens.size === 0) return;
    const held = [...tokens].map(([shard, token]) => ({ shard, token }));
    const kept = new Set(await renewShards(db, location, held, { owner, until: until() }));
    // What was claimed anew meanwhile has another token, and is not lost.
    lose(held.filter(({ shard, token }) => !kept.has(shard) && tokens.get(shard) === token).map(shardOf));
  }

  /** Ours by its row, and we have no token: the answer to a claim, or a giving back, got lost. It is free to us. */
  function asHeld(row: ShardRow): ShardRow {
    return row.owner === owner && !tokens.has(row.shard) ? { ...row, owner: null } : row;
  }

  /** Answers when to look again, ms from now. */
  async function look(): Promise<number> {
    await renew();
    await deps.beat();
    const now = clock.now();
    const probers = await liveProbers(db, location, new Date(now.getTime() - SEEN_MS));
    const plan = planShards((await readShards(db, location)).map(asHeld), owner, probers, now.getTime());
    if (plan.claim.length > 0) {
      const claimed = await claimShards(db, location, plan.claim, { owner, now, until: until() });
      for (const { shard, token } of claimed) tokens.set(shard, token);
      if (claimed.length > 0) deps.onClaimed(claimed.map(shardOf));
    }
    if (plan.release.length > 0) await release(plan.release);
    const lapses = plan.next === null ? RENEW_MS : plan.next - clock.now().getTime() + 1;
    return Math.max(1, Math.min(RENEW_MS, lapses));
  }

  async function release(shards: readonly number[]): Promise<void> {
    // The lease goes on while the last rounds end and are written.
    const renewal = setInterval(() => void renew().then(deps.beat, () => {}), RENEW_MS);
    try {
      await deps.drain(shards);
    } finally {
      clearInterval(renewal);
    }
    for (const shard of shards) tokens.delete(shard);
    await releaseShards(db, location, shards, { owner, now: clock.now() });
    // Others look when the list changes; and now there is something to take.
    await notify(db, CHECKS_CHANNEL, "");
  }

  const looking = repeat(deps, look);
  return {
    tokens: () => tokens,
    wake: looking.wake,
    async close() {
      await looking.stop();
      const held = [...tokens.keys()];
      if (held.length > 0) await release(held).catch(() => {});
    },
  };
}

/** Looks again and again, as soon as each look says, or at once when woken. */
function repeat(
  { clock, log }: Pick<ShardDeps, "clock" | "log">,
  look: () => Promise<number>,
): { wake(): void; stop(): Promise<void> } {
  const stopping = new AbortController();
  let nudge = new AbortController();
  const run = async () => {
    while (!stopping.signal.aborted) {
      const pause = await look().catch((error) => {
        log.warn({ reason: messageOf(error) }, "the prober cannot renew its shares; it goes on");
        return RENEW_MS / 3;
      });
      await clock.sleep(pause, AbortSignal.any([stopping.signal, nudge.signal])).catch(() => {});
      if (nudge.signal.aborted) nudge = new AbortController();
    }
  };
  const running = run();
  return {
    wake: () => nudge.abort(),
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

function shardOf({ shard }: { readonly shard: number }): number {
  return shard;
}
