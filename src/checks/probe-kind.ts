import type { z } from "zod";
import type { Clock } from "../foundation/clock.ts";
import type { HeartbeatSchedule } from "./heartbeats/schedule.ts";
import type { Outcome, ProbeType } from "./model.ts";

/** Which networks beside the public ones may be reached, and what else bounds one attempt. */
export type NetworkPolicy = {
  /** CIDR. What an administrator allowed this project. */
  readonly allowNetworks: readonly string[];
};

export type ProbeContext = {
  /** From the first look-up to the end of the answer. `signal` ends then too, or earlier when nobody waits any more. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Null: the address is ours (a release behind our own gateway), and is not guarded. */
  readonly network: NetworkPolicy | null;
  readonly clock: Clock;
};

/**
 * Port: one kind of probe. `run` makes one attempt on a fresh connection, never throws, and leaves nothing behind:
 * no socket, no timer, no listener. It need not measure the whole latency: its caller does.
 */
export type ProbeKind<S = unknown> = {
  readonly type: ProbeType;
  /** What may be written in the configuration under `type`, with defaults; strict. */
  readonly settings: z.ZodType<S>;
  /** What is asked, for people: `postgres://db.internal:5432`. Without secrets. */
  subject(settings: S): string;
  /** What its limits are counted by: a host. Null: none. */
  host(settings: S): string | null;
  /**
   * True: it reads or runs things on the prober's own machine, so only an administrator may write it down, never a
   * commit. Default false.
   */
  readonly local?: boolean;
  /** It is not asked: it calls us, by this schedule. */
  schedule?(settings: S): HeartbeatSchedule;
  run(settings: S, context: ProbeContext): Promise<Outcome>;
};

/** Infers the settings' type of a kind. */
export function defineProbe<S>(kind: ProbeKind<S>): ProbeKind<S> {
  return kind;
}
