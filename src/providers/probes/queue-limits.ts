import { z } from "zod";
import type { Failure, FailureClass, Outcome } from "../../checks/model.ts";

/** What is seen of a queue. Null: this system cannot say, or there was nothing to say it of. */
export type QueueFacts = {
  /** Jobs that could run now and do not. */
  readonly depth: number;
  /** How long the one that could run for longest has waited. Null: none waits. */
  readonly oldestMs: number | null;
  readonly workers: number | null;
  readonly throughputPerMin: number | null;
  /** Jobs that somebody took and whose worker is gone. */
  readonly stalled: number | null;
  /** Of those that ended lately, for good. Null: none, or too few. */
  readonly failedShare: number | null;
};

export type Limit = { readonly warn?: number | undefined; readonly down?: number | undefined };

export type QueueLimits = {
  readonly maxDepth?: Limit | undefined;
  readonly maxOldestMs?: Limit | undefined;
  readonly minWorkers?: Limit | undefined;
  readonly maxFailedShare?: Limit | undefined;
  readonly maxStalled?: Limit | undefined;
};

/** A bare number is what it is down beyond; `{ warn, down }` says it of degraded, too. */
function limit(value: z.ZodNumber) {
  return z.union([
    value.transform((down): Limit => ({ down })),
    z
      .strictObject({ warn: value.optional(), down: value.optional() })
      .refine(({ warn, down }) => warn !== undefined || down !== undefined, {
        error: "names neither `warn` nor `down`",
      }),
  ]);
}

const count = z.int().min(0).max(1_000_000_000);

/** Fields of the settings; a system that cannot tell a fact leaves its limit out. */
export const limitFields = {
  maxDepth: limit(count).optional(),
  /** Milliseconds. */
  maxOldestMs: limit(count).optional(),
  minWorkers: limit(count).optional(),
  maxFailedShare: limit(z.number().min(0).max(1)).optional(),
  maxStalled: limit(count).optional(),
};

type Broken = { readonly class: FailureClass; readonly says: string };

type Rule = {
  readonly limit: Limit | undefined;
  readonly value: number | null;
  readonly breaks: (value: number, bound: number) => boolean;
  readonly broken: (value: number, bound: number) => Broken;
  /** What cannot be known here, where a limit on it would be a promise that nobody keeps. */
  readonly unknown?: string;
};

const above = (value: number, bound: number) => value > bound;

function rules(facts: QueueFacts, limits: QueueLimits): Rule[] {
  return [
    {
      limit: limits.minWorkers,
      value: facts.workers,
      breaks: (value, bound) => value < bound,
      broken: (value, bound) => ({ class: "missing", says: `has ${value} workers, fewer than ${bound}` }),
      unknown: "how many workers there are",
    },
    {
      limit: limits.maxStalled,
      value: facts.stalled,
      breaks: above,
      broken: (value, bound) => ({
        class: "missing",
        says: `has ${value} jobs whose worker is gone, more than ${bound}`,
      }),
      unknown: "which jobs have lost their worker",
    },
    {
      limit: limits.maxOldestMs,
      value: facts.oldestMs,
      breaks: above,
      broken: (value, bound) => ({
        class: "overloaded",
        says: `lets a job wait for ${Math.round(value)} ms, longer than ${bound} ms`,
      }),
      ...(facts.depth > 0 ? { unknown: "for how long its jobs have waited" } : {}),
    },
    {
      limit: limits.maxDepth,
      value: facts.depth,
      breaks: above,
      broken: (value, bound) => ({
        class: "overloaded",
        says: `has ${value} jobs waiting, more than ${bound}`,
      }),
    },
    {
      limit: limits.maxFailedShare,
      value: facts.failedShare,
      breaks: above,
      broken: (value, bound) => ({
        class: "assertion",
        says: `fails ${percent(value)} of its jobs, more than ${percent(bound)}`,
      }),
    },
  ];
}

function percent(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`;
}

/**
 * The worst that is true: what is down, then what cannot be told, then what is degraded; among equals the cause
 * before the symptom (no workers before many waiting). @param queue for people: `The queue mail at db:5432`
 */
export function judgeQueue(queue: string, facts: QueueFacts, limits: QueueLimits): Outcome {
  const all = rules(facts, limits);
  const observed = { ...facts };
  const down = firstBroken(all, "down");
  if (down !== null) return { status: "down", failure: failureOf(queue, down), observed };
  const untold = all.find(({ limit, value, unknown }) => limit && value === null && unknown);
  if (untold) {
    const message = `${queue} does not say ${untold.unknown}, on which there is a limit.`;
    return { status: "down", failure: { class: "unsupported", message }, observed };
  }
  const warned = firstBroken(all, "warn");
  if (warned !== null) return { status: "degraded", failure: failureOf(queue, warned), observed };
  return { status: "up", observed };
}

function firstBroken(all: readonly Rule[], level: "warn" | "down"): Broken | null {
  for (const { limit, value, breaks, broken } of all) {
    const bound = limit?.[level];
    if (bound !== undefined && value !== null && breaks(value, bound)) return broken(value, bound);
  }
  return null;
}

function failureOf(queue: string, { class: kind, says }: Broken): Failure {
  return { class: kind, message: `${queue} ${says}.` };
}

/** A share of fewer than this says nothing: the only job of the night that failed is no 100 %. */
const FEWEST_FINISHED = 5;

export function shareOf(failed: number, finished: number): number | null {
  return finished < FEWEST_FINISHED ? null : Math.round((failed / finished) * 1_000) / 1_000;
}

export function perMinute(finished: number, windowMs: number): number {
  return Math.round((finished / windowMs) * 60_000 * 100) / 100;
}
