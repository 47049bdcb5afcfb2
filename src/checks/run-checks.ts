import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { notify } from "../foundation/notify.ts";
import { CHECK_REQUEST_CHANNEL } from "./channels.ts";
import type { CheckDeps } from "./check-deps.ts";
import { type Explanation, explain } from "./explain.ts";
import { type Attempt, LOCAL, type Round } from "./model.ts";
import { type CheckOverview, readOverview } from "./read-overview.ts";

export type RunInput = {
  readonly project: string;
  readonly environment?: string | undefined;
  /** Left out: all. */
  readonly names?: readonly string[] | undefined;
};

export type RunResult = {
  readonly check: CheckOverview;
  /** Null: nobody has answered, or it is a heartbeat. */
  readonly round: Round | null;
  /** The attempt that decided; null: there was none. */
  readonly attempt: Attempt | null;
  readonly explanation: Explanation | null;
  /** Why there is no answer. */
  readonly unanswered: string | null;
};

/** What a round may take beside its timeout: to be heard of, and to be told. */
const ROOM_MS = 5_000;
const LOOK_MS = 100;
const MOST = 500;

/**
 * Has checks run now, by the prober whose they are, and waits for what it finds (deployer). They count like any other
 * round. Of heartbeats it says what was heard last.
 * @throws AppError `forbidden`; `not_found` with the names that there are not.
 */
export async function runChecks(
  deps: CheckDeps,
  actor: Actor,
  input: RunInput,
  signal: AbortSignal,
): Promise<RunResult[]> {
  requireRole(actor, "deployer");
  const { db, clock } = deps;
  const projectId = await deps.projectIdOf(input.project);
  const all = await readOverview(db, { projectId, environment: input.environment }, clock.now());
  const wanted = chosen(all, input);
  const checks = wanted.filter(({ type }) => type !== "heartbeat");
  const heard = wanted.filter(({ type }) => type === "heartbeat").map(heardOf);
  if (checks.length === 0) return heard;
  const requests = await ask(deps, actor, projectId, checks);
  const limitMs = Math.max(...checks.map(({ policy }) => policy.timeoutMs)) + ROOM_MS;
  try {
    const rounds = await answers(deps, [...requests.keys()], limitMs, signal);
    const silent = [...requests].filter(([id]) => !rounds.has(id)).map(([, check]) => check);
    const reasons = await whySilent(deps, silent, limitMs);
    const asked = [...requests].map(([id, check]) =>
      resultOf(check, rounds.get(id) ?? null, reasons.get(check.id)),
    );
    return [...asked, ...heard].sort((a, b) => wanted.indexOf(a.check) - wanted.indexOf(b.check));
  } finally {
    await db
      .deleteFrom("check_requests")
      .where("id", "in", [...requests.keys()])
      .execute();
  }
}

function chosen(
  all: readonly CheckOverview[],
  { project, environment, names }: RunInput,
): readonly CheckOverview[] {
  const unknown = (names ?? []).filter((name) => !all.some((check) => check.name === name));
  if (unknown.length > 0) {
    const there = [...new Set(all.map(({ name }) => name))];
    const where = environment === undefined ? project : `${project} in ${environment}`;
    throw new AppError("not_found", `${where} has no check "${unknown.join('", "')}".`, {
      hint: there.length === 0 ? "It has none yet: deploy something." : `It has: ${there.join(", ")}.`,
    });
  }
  const checks = names === undefined ? all : all.filter(({ name }) => names.includes(name));
  if (checks.length <= MOST) return checks;
  throw new AppError("bad_request", `${checks.length} checks are more than the ${MOST} that run at once.`, {
    hint: "Name an environment, or the checks.",
  });
}

async function ask(
  { db, clock, ids }: CheckDeps,
  actor: Actor,
  projectId: string,
  checks: readonly CheckOverview[],
): Promise<ReadonlyMap<string, CheckOverview>> {
  const at = clock.now();
  const requests = new Map(checks.map((check) => [ids("ask"), check]));
  const rows = [...requests].map(([id, check]) => ({ id, check_id: check.id, asked_at: at }));
  await db.transaction().execute(async (tx) => {
    await tx.insertInto("check_requests").values(rows).execute();
    const details = { checks: checks.map(({ name, environment }) => `${environment}/${name}`) };
    await audit(tx, { actor, action: "check.run", subject: { type: "project", id: projectId }, details, at });
    for (const { id } of checks) await notify(tx, CHECK_REQUEST_CHANNEL, id);
  });
  return requests;
}

/** By request. Ends when all have answered, when the time is over, or when nobody waits any more. */
async function answers(
  { db, clock }: CheckDeps,
  requests: readonly string[],
  limitMs: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Round>> {
  const end = clock.monotonicMs() + limitMs;
  const rounds = new Map<string, Round>();
  while (rounds.size < requests.length && clock.monotonicMs() < end && !signal.aborted) {
    const rows = await db
      .selectFrom("check_requests")
      .select(["id", "round"])
      .where("id", "in", requests)
      .where("answered_at", "is not", null)
      .execute();
    for (const { id, round } of rows) if (round !== null) rounds.set(id, round);
    if (rows.length < requests.length) await clock.sleep(LOOK_MS, signal).catch(() => {});
    else break;
  }
  return rounds;
}

function resultOf(check: CheckOverview, round: Round | null, unanswered: string | undefined): RunResult {
  const good = round?.attempts.find(({ status }) => status !== "down");
  const attempt = good ?? round?.attempts.at(-1) ?? null;
  const { failure } = attempt ?? {};
  return {
    check,
    round,
    attempt,
    explanation: failure === undefined ? null : explain(failure.class),
    unanswered: round === null ? (unanswered ?? "the prober answered without a round") : null,
  };
}

/** A heartbeat is not asked, it calls: how it is is known already. */
function heardOf(check: CheckOverview): RunResult {
  const { state, lastAt, stale, displayed, explanation } = check;
  if (state === "unknown" || lastAt === null || stale) {
    const why = lastAt === null ? "has not called yet" : "nothing is known of it now";
    const unanswered = `it is not asked but calls, and ${why}`;
    return { check, round: null, attempt: null, explanation: null, unanswered };
  }
  const failure = displayed?.failure ? { failure: displayed.failure } : {};
  const attempt: Attempt = { status: state, startedAt: lastAt.getTime(), latencyMs: 0, ...failure };
  return { check, round: null, attempt, explanation, unanswered: null };
}

/** For each check: who has it, and when that one was seen last. */
async function whySilent(
  { db, clock }: CheckDeps,
  checks: readonly CheckOverview[],
  limitMs: number,
): Promise<ReadonlyMap<string, string>> {
  if (checks.length === 0) return new Map();
  const now = clock.now();
  const shards = await db.selectFrom("check_shards").selectAll().execute();
  const probers = new Map((await db.selectFrom("probers").selectAll().execute()).map((row) => [row.id, row]));
  const why = ({ shard, policy }: CheckOverview): string => {
    const location = policy.locations.includes(LOCAL) ? LOCAL : (policy.locations[0] ?? LOCAL);
    const held = shards.find((each) => each.location === location && each.shard === shard);
    const waited = `within ${Math.round(limitMs / 1_000)} s`;
    if (held === undefined || held.owner === null || held.lease_until < now)
      return location === LOCAL
        ? `no prober at "${location}" has it now; \`signalbox up\` starts one`
        : `it is run at "${location}" only, and agents are not asked: \`signalbox checks\` has their last word`;
    const seen = probers.get(held.owner)?.seen_at;
    const ago =
      seen === undefined
        ? ""
        : `, and was seen ${Math.round((now.getTime() - seen.getTime()) / 1_000)} s ago`;
    return `the prober ${held.owner} at "${location}" has it, did not answer ${waited}${ago}`;
  };
  return new Map(checks.map((check) => [check.id, why(check)]));
}
