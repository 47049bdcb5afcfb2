import type { z } from "zod";
import { fold } from "../fold.ts";
import { type LocationState, maxAgeMs, type Policy, type Round } from "../model.ts";
import { type FoldedRound, recordRounds } from "../record-rounds.ts";
import type { Agent, AgentDeps } from "./deps.ts";
import type { Push, Receipt } from "./push.ts";

/** A clock that is off by less is left alone: the way here takes a while too. */
const CLOCK_SLACK_MS = 5_000;

type Known = { readonly policy: Policy; readonly state: LocationState | null };

/**
 * Takes what an agent found. Any push may come again: a round that was counted is not counted twice. Rounds that come
 * later than a verdict lasts are kept as samples and change nothing: the time was unknown, and it stays so.
 */
export async function receiveResults(
  deps: AgentDeps,
  agent: Agent,
  push: Push,
): Promise<z.output<typeof Receipt>> {
  const now = deps.clock.now();
  // The row is the lock: two control planes may be given the same push at once.
  return deps.db.transaction().execute(async (tx) => {
    await tx.selectFrom("prober_agents").select("id").where("id", "=", agent.id).forUpdate().execute();
    await tx.updateTable("prober_agents").set({ seen_at: now }).where("id", "=", agent.id).execute();
    const seen = { location: agent.location, seen_at: now, report: JSON.stringify(push.report) };
    await tx
      .insertInto("probers")
      .values({ id: agent.id, kind: "agent", started_at: now, ...seen })
      .onConflict((conflict) => conflict.column("id").doUpdateSet(seen))
      .execute();
    const rounds = inOrder(push, agent, now);
    const batch = foldAll(rounds, await readKnown(deps, agent, rounds), now.getTime());
    if (batch.length > 0) await recordRounds(deps, batch, null);
    return { recorded: batch.length, ignored: push.rounds.length - batch.length };
  });
}

/** By our clock, oldest first. */
function inOrder({ sentAt, rounds }: Push, { location }: Agent, now: Date): Round[] {
  const off = now.getTime() - sentAt;
  const by = Math.abs(off) > CLOCK_SLACK_MS ? off : 0;
  return rounds
    .map((round) => ({
      ...round,
      location,
      scheduledAt: round.scheduledAt + by,
      startedAt: round.startedAt + by,
      endedAt: round.endedAt + by,
      attempts: round.attempts.map((attempt) => ({
        ...(attempt as Round["attempts"][number]),
        startedAt: attempt.startedAt + by,
      })),
    }))
    .sort((a, b) => a.scheduledAt - b.scheduledAt);
}

/** The checks of these rounds that are this location's business. */
async function readKnown(
  { db }: AgentDeps,
  { location }: Agent,
  rounds: readonly Round[],
): Promise<Map<string, Known>> {
  const ids = [...new Set(rounds.map(({ checkId }) => checkId))];
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("checks")
    .leftJoin("check_locations", (join) =>
      join.onRef("check_id", "=", "checks.id").on("location", "=", location),
    )
    .select(["checks.id", "policy", "fold"])
    .where("checks.id", "in", ids)
    .where("retired_at", "is", null)
    .execute();
  return new Map(
    rows
      .filter(({ policy }) => policy.locations.includes(location))
      .map(({ id, policy, fold }) => [id, { policy, state: fold }]),
  );
}

function foldAll(rounds: readonly Round[], known: ReadonlyMap<string, Known>, now: number): FoldedRound[] {
  const states = new Map([...known].map(([id, { state }]) => [id, state]));
  return rounds.flatMap((round) => {
    const policy = known.get(round.checkId)?.policy;
    if (!policy || round.endedAt > now + CLOCK_SLACK_MS) return [];
    const before = states.get(round.checkId) ?? null;
    const check = { id: round.checkId, policy };
    if (now - round.endedAt > maxAgeMs(policy))
      return before ? [{ round, check, before, after: before }] : [];
    if (before?.lastAt != null && round.endedAt <= before.lastAt) return [];
    const after = fold(before, round, policy);
    states.set(round.checkId, after);
    return [{ round, check, before, after }];
  });
}
