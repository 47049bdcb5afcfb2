import type { Answer, Closing, Failure } from "./load-messages.ts";

/** A process that still answers new requests this long after it closed a channel was not leaving. */
const STILL_SERVING_MS = 500;

type Seen = { answers: readonly Answer[]; failures: readonly Failure[]; closings: readonly Closing[] };

/** Everything that a visitor would have noticed, one sentence each. Empty: nobody noticed anything. */
export function failuresOf({ answers, failures, closings }: Seen): string[] {
  const unfair = closings.filter((closing) => !closing.polite || isServingAt(closing, answers));
  return [
    ...failures.map(({ what }) => what),
    ...unfair.map(({ kind, version, instance, polite, detail }) => {
      const how = polite ? "was closed while its release was still serving" : "was cut";
      return `A ${kind} to ${version ?? "an unknown release"} (${instance ?? "no instance"}) ${how}: ${detail}`;
    }),
  ];
}

/** True when the closed channel's own process was still being sent new requests. */
function isServingAt(closing: Closing, answers: readonly Answer[]): boolean {
  return answers.some(
    ({ instance, sentAt }) =>
      instance !== null &&
      instance === closing.instance &&
      sentAt >= closing.at &&
      sentAt < closing.at + STILL_SERVING_MS,
  );
}

/** When the last answer of `version` came that was under way or sent at or after `since`. Null: there was none. */
export function lastAnswerOf(answers: readonly Answer[], version: string, since: number): number | null {
  let last: number | null = null;
  for (const answer of answers) {
    if (answer.version === version && answer.at >= since && (last === null || answer.at > last))
      last = answer.at;
  }
  return last;
}

/** Requests that were sent after the acknowledgement and still answered by the release that had been taken back. */
export function staleAnswers(answers: readonly Answer[], version: string, acknowledgedAt: number): number {
  return answers.filter((answer) => answer.version === version && answer.sentAt > acknowledgedAt).length;
}

/** Answers by version, files that say nothing of their release left out. */
export function countByVersion(answers: readonly Answer[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { version } of answers)
    if (version !== null) counts.set(version, (counts.get(version) ?? 0) + 1);
  return counts;
}
