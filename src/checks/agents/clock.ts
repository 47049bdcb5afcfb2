/** A clock that is off by less is left alone. */
const CLOCK_SLACK_MS = 1_000;

/** What is known of an agent's clock. In ms; null: nothing yet. */
export type AgentClock = {
  /** What is added to the times that it tells. */
  readonly correctionMs: number;
  /** By how much its last push seemed to be off. */
  readonly seenMs: number | null;
};

/**
 * What is added to an agent's times, after a push that seems to be off by `offMs` (ours, less its own when it sent).
 * It stays the same from push to push: one that comes twice must tell the same times, and so must two that were on
 * their way for longer and for shorter. The way here only ever adds, so the less of two pushes is the truer. Pure.
 */
export function corrected({ correctionMs, seenMs }: AgentClock, offMs: number): AgentClock {
  const least = Math.min(offMs, seenMs ?? offMs);
  if (Math.abs(least - correctionMs) <= CLOCK_SLACK_MS) return { correctionMs, seenMs: offMs };
  return { correctionMs: Math.abs(least) <= CLOCK_SLACK_MS ? 0 : least, seenMs: offMs };
}
