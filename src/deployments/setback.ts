import { AppError, messageOf } from "../foundation/errors.ts";
import type { Patch, Step } from "./reconcile.ts";
import type { BlockedFacts, Deployment, DeploymentOutcome, Facts } from "./record.ts";
import { movingServices } from "./services.ts";
import { failed, takeBack } from "./step.ts";

/** Tries of one state's work before it is given up. With the waits below that is about a minute. */
const MAX_ATTEMPTS = 10;
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** Codes of mistakes that the same call would only repeat. */
const FINAL_CODES = new Set([
  "bad_request",
  "not_found",
  "unprocessable",
  "too_large",
  "forbidden",
  "unauthorized",
]);

/** Answers that say for certain that nothing was done. */
const REFUSALS = new Set([...FINAL_CODES, "conflict", "rate_limited"]);

/** A block is not waited for without end. Afterwards the state's own deadline runs on. */
const LONGEST_BLOCK_MS = 6 * 3_600_000;
/** After a block there is at least this much left to go on in. */
const LEAST_LEFT_MS = 60_000;
const OUTAGE_LOOK_MS = 5_000;
const RATE_LIMIT_DEFAULT_MS = 60_000;

/**
 * What a failed side effect or observation leads to. Pure. Ours and the vendor's faults are retried, the user's are
 * not. `away`: the target does not answer anybody, so no release is to blame and nothing is given up for it.
 */
export function setback(deployment: Deployment, error: unknown, now: Date, away = false): Step {
  const block = blockOf(deployment, error, now, away);
  if (block !== null) return block;
  const count = (deployment.facts.attempts?.count ?? 0) + 1;
  const unsure = deployment.state === "shifting" && !isRefusal(error) ? { unsureOfTraffic: true } : {};
  const facts: Facts = { ...deployment.facts, ...unsure, attempts: { count, error: messageOf(error) } };
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(count - 1, 10));
  const retry: Step = { do: "wait", until: new Date(now.getTime() + wait), patch: { facts } };
  // Traffic must come back, however long it takes: only the deadline ends that.
  if (deployment.state === "rolling_back" || deployment.state === "queued") return retry;
  const final = error instanceof AppError && FINAL_CODES.has(error.code);
  if (!final && count < MAX_ATTEMPTS) return retry;
  return giveUp(deployment, error, facts, outcomeOf(error));
}

function blockOf(deployment: Deployment, error: unknown, now: Date, away: boolean): Step | null {
  const limited = error instanceof AppError && error.code === "rate_limited";
  if (!limited && !away) return null;
  const { facts, state, deadlineAt } = deployment;
  const by: BlockedFacts["by"] = limited ? "rate_limit" : "outage";
  const before = facts.blocked;
  const sinceMs = before?.sinceMs ?? now.getTime();
  if (now.getTime() - sinceMs > LONGEST_BLOCK_MS) return null;
  const waitMs = limited ? limitMs(error, deployment.id) : OUTAGE_LOOK_MS;
  // To wait for a rate limit is no reason to go on for ever, but a release that has traffic is not taken back for it.
  const stops = by === "outage" || state === "shifting" || state === "rolling_back";
  const left = deadlineAt === null ? null : Math.max(LEAST_LEFT_MS, deadlineAt.getTime() - now.getTime());
  const leftMs = stops ? (before?.leftMs ?? left) : null;
  const until = new Date(now.getTime() + waitMs);
  const blocked = { by, reason: messageOf(error), sinceMs, untilMs: until.getTime(), leftMs };
  const unsure = state === "shifting" && !limited ? { unsureOfTraffic: true } : {};
  const patch: Patch = {
    facts: { ...facts, ...unsure, blocked },
    ...(leftMs === null ? {} : { deadlineAt: new Date(until.getTime() + leftMs) }),
  };
  return { do: "wait", until, patch };
}

/** A limit of a day is looked at before: it may be lifted, and what is kept in a row has to be a time. */
function limitMs(error: AppError, id: string): number {
  return Math.min(retryAfterMs(error) * (1 + shareOf(id) / 4), LONGEST_BLOCK_MS);
}

function retryAfterMs(error: AppError): number {
  const details = error.details as { readonly retryAfterMs?: unknown } | null | undefined;
  return typeof details?.retryAfterMs === "number" ? details.retryAfterMs : RATE_LIMIT_DEFAULT_MS;
}

/** 0 to 1, each deployment its own: after a limit they do not all come back at once. */
function shareOf(id: string): number {
  return ([...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1_000, 7) / 1_000) % 1;
}

/** What a success leaves of failed tries and of a block. */
export function settled(facts: Facts, now: Date): Facts {
  const { attempts: _wiped, blocked, ...rest } = facts;
  if (blocked === undefined) return rest;
  const waitedMs = (rest.waitedMs ?? 0) + Math.max(0, now.getTime() - blocked.sinceMs);
  return { ...rest, waitedMs, resumedAtMs: now.getTime() };
}

/** A token that the target refuses is the operator's business, not the committer's. */
function outcomeOf(error: unknown): DeploymentOutcome {
  if (!(error instanceof AppError)) return "error";
  if (error.code === "timeout") return "timeout";
  const isTheirs = FINAL_CODES.has(error.code) && error.code !== "unauthorized" && error.code !== "forbidden";
  return isTheirs ? "failure" : "error";
}

function giveUp(deployment: Deployment, error: unknown, facts: Facts, outcome: DeploymentOutcome): Step {
  const reason = messageOf(error);
  const hint =
    (error instanceof AppError ? error.hint : undefined) ??
    "See that the target can be reached, then deploy again.";
  switch (deployment.state) {
    case "preparing":
      return failed(reason, { hint, outcome, patch: { facts } });
    case "building":
      return failed(reason, { hint, outcome, patch: { facts, cleanup: "cancel_build" } });
    case "verifying":
    case "awaiting_approval":
    case "migrating":
    case "releasing":
      return failed(reason, { hint, outcome, patch: { facts, cleanup: "retire" } });
    case "shifting":
      // Somebody else's rollout may be what refuses us: what never moved must not be "taken back" over their heads.
      if (!mayHaveTraffic(deployment, facts))
        return failed(reason, { hint, outcome, patch: { facts, cleanup: "retire" } });
      return { ...takeBack(deployment, reason, { facts }, outcome), hint } as Step;
    case "live":
      // The release serves all the same; the next deployment's contract takes the same files up again.
      return { do: "wait", until: new Date(0), patch: givenUp(deployment, facts, reason) };
    default:
      // A settled one: the clean-up is not worth more tries; the target's own collection takes the rest.
      return { do: "wait", until: new Date(0), patch: { facts, cleanup: null } };
  }
}

/** False only where it is certain: under the lease that it began with, no change was ever lost, and none was seen. */
function mayHaveTraffic({ services, leaseToken }: Deployment, facts: Facts): boolean {
  if (facts.unsureOfTraffic || facts.settleAtMs !== undefined) return true;
  if (facts.shifting?.leaseToken !== leaseToken) return true;
  return movingServices({ services }).some(({ weight, opened }) => weight > 0 || opened);
}

function isRefusal(error: unknown): boolean {
  return error instanceof AppError && REFUSALS.has(error.code);
}

function givenUp({ cleanup }: Deployment, facts: Facts, reason: string): Patch {
  if (cleanup !== null) return { facts, cleanup: null };
  return {
    contractAt: null,
    facts: { ...facts, problem: `Its contract migrations were given up: ${reason}` },
  };
}
