import { type Health, lasts } from "./health.ts";
import type { FailoverPolicy, Side } from "./policy.ts";

export type SwitchInput = {
  readonly policy: Pick<
    FailoverPolicy,
    "automatic" | "switch" | "away" | "recovered" | "minIntervalMs" | "maxPerDay"
  >;
  /** False: the live configuration no longer asks for a failover. */
  readonly asked: boolean;
  /** A person's word: false holds everything automatic back. */
  readonly automatic: boolean;
  readonly serving: Side;
  readonly switchedBy: "automatic" | "person" | null;
  readonly health: Health;
  /** It mirrors what is live and answers. */
  readonly standbyReady: boolean;
  /** When the switches of the last 24 hours were begun, epoch ms, those by people included. */
  readonly switchesMs: readonly number[];
  readonly nowMs: number;
};

export type SwitchDecision =
  | { readonly do: "stay"; readonly why: string; readonly held: boolean }
  | { readonly do: "switch"; readonly to: Side; readonly why: string };

const DAY_MS = 24 * 3_600_000;

/**
 * Whether the hostname moves by itself now. `held`: it would, and something keeps it. What people ask for is not
 * decided here: they may always. Pure.
 */
export function decideSwitch(input: SwitchInput): SwitchDecision {
  return input.serving === "primary" ? toStandby(input) : toPrimary(input);
}

function toStandby(input: SwitchInput): SwitchDecision {
  const { health, policy, nowMs } = input;
  const needed = { count: policy.away.failures, forMs: policy.away.forMs };
  if (health.verdict !== "away") return stay(`The primary is ${health.verdict}.`);
  if (!lasts(health.away, needed, nowMs)) return stay("The primary is away, and not yet for long enough.");
  const hold = automaticHold(input);
  if (hold) return held(hold);
  if (!input.standbyReady) return held("The standby is not ready.");
  return { do: "switch", to: "standby", why: health.reason };
}

function toPrimary(input: SwitchInput): SwitchDecision {
  const { health, policy, nowMs } = input;
  const needed = { count: policy.recovered.successes, forMs: policy.recovered.forMs };
  if (health.verdict !== "well") return stay(`The primary is ${health.verdict}.`);
  if (!lasts(health.well, needed, nowMs)) return stay("The primary is back, and not yet for long enough.");
  if (input.switchedBy !== "automatic") return held("A person moved it here, and a person moves it back.");
  const hold = automaticHold(input);
  if (hold) return held(hold);
  return { do: "switch", to: "primary", why: "The primary is well again." };
}

function automaticHold({ policy, asked, automatic, switchesMs, nowMs }: SwitchInput): string | null {
  if (policy.switch === null) return "No switch is configured.";
  if (!asked) return "The live configuration asks for no failover any more.";
  if (!policy.automatic) return "It is not automatic.";
  if (!automatic) return "A person has switched automatic failover off.";
  const lately = switchesMs.filter((at) => nowMs - at < DAY_MS);
  if (lately.length >= policy.maxPerDay) {
    return `${lately.length} switches within a day are the most that is allowed; the rest is left to people.`;
  }
  const last = Math.max(...lately, Number.NEGATIVE_INFINITY);
  return nowMs - last < policy.minIntervalMs ? "The last switch is too short ago." : null;
}

function stay(why: string): SwitchDecision {
  return { do: "stay", why, held: false };
}

function held(why: string): SwitchDecision {
  return { do: "stay", why, held: true };
}
