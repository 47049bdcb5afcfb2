import type { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { fold } from "../fold.ts";
import { type LocationState, maxAgeMs, type Policy, type Round } from "../model.ts";
import { type FoldedRound, recordRounds } from "../record-rounds.ts";
import { AT_HOME } from "./agent-work.ts";
import { corrected } from "./clock.ts";
import type { Agent, AgentDeps } from "./deps.ts";
import type { Push, Receipt } from "./push.ts";

/** What has not ended yet by more is no slack of two clocks. */
const AHEAD_MS = 5_000;

type Known = { readonly policy: Policy; readonly state: LocationState | null };

/**
 * Takes what an agent found. Any push may come again: a round that was counted is not counted twice. Rounds that come
 * later than a verdict lasts are kept as samples and change nothing: the time was unknown, and it stays so.
 * @throws AppError `unauthorized`: its token has ended meanwhile.
 */
export async function receiveResults(
  deps: AgentDeps,
  agent: Agent,
  push: Push,
): Promise<z.output<typeof Receipt>> {
  const now = deps.clock.now();
  // The row is the lock: two control planes may be given the same push at once.
  return deps.db.transaction().execute(async (tx) => {
    const known = await tx
      .selectFrom("prober_agents")
      .select(["correction_ms", "off_ms"])
      .where("id", "=", agent.id)
      .where("revoked_at", "is", null)
      .forUpdate()
      .executeTakeFirst();
    if (!known) throw ended();
    const clock = corrected(
      { correctionMs: known.correction_ms, seenMs: known.off_ms },
      now.getTime() - push.sentAt,
    );
    await tx
      .updateTable("prober_agents")
      .set({ seen_at: now, correction_ms: clock.correctionMs, off_ms: clock.seenMs })
      .where("id", "=", agent.id)
      .execute();
    const seen = { location: agent.location, seen_at: now, report: JSON.stringify(push.report) };
    await tx
      .insertInto("probers")
      .values({ id: agent.id, kind: "agent", started_at: now, ...seen })
      .onConflict((conflict) => conflict.column("id").doUpdateSet(seen))
      .execute();
    const rounds = inOrder(push, agent, clock.correctionMs);
    const batch = foldAll(rounds, await readKnown(deps, agent, rounds), now.getTime());
    if (batch.length > 0) await recordRounds(deps, batch, null);
    return { recorded: batch.length, ignored: push.rounds.length - batch.length };
  });
}

/** It waited for its turn when an owner ended it. */
function ended(): AppError {
  return new AppError("unauthorized", "The token of this agent has ended.", {
    hint: "An owner makes one for each place: signalbox prober add LOCATION.",
  });
}

/** By our clock, oldest first. */
function inOrder({ rounds }: Push, { location }: Agent, by: number): Round[] {
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
    .where("type", "not in", AT_HOME)
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
    if (!policy || round.endedAt > now + AHEAD_MS) return [];
    const before = states.get(round.checkId) ?? null;
    const check = { id: round.checkId, policy };
    const lastsMs = maxAgeMs(policy);
    // One that lasted longer than that cannot say since when anything is so.
    if (now - round.endedAt > lastsMs || round.endedAt - round.startedAt > lastsMs)
      return before ? [{ round, check, before, after: before }] : [];
    if (before?.lastAt != null && round.endedAt <= before.lastAt) return [];
    const after = fold(before, round, policy);
    states.set(round.checkId, after);
    return [{ round, check, before, after }];
  });
}
