import type { Outcome } from "../checks/index.ts";

const MESSAGE_MAX = 2_000;
const TEXT_MAX = 1_000;

/**
 * An outcome as it can be kept. Services say what they like, and Postgres keeps neither a NUL nor half of a character
 * that a limit cut in two: it would refuse the whole round, and an outage with it.
 */
export function storable(outcome: Outcome): Outcome {
  const { failure, observed } = outcome;
  if (!failure && !observed) return outcome;
  return {
    ...outcome,
    ...(failure ? { failure: { ...failure, message: clean(failure.message, MESSAGE_MAX) } } : {}),
    ...(observed ? { observed: Object.fromEntries(Object.entries(observed).map(cleanFact)) } : {}),
  };
}

type Fact = NonNullable<Outcome["observed"]>[string];

function cleanFact([name, value]: [string, Fact]): [string, Fact] {
  return [name, typeof value === "string" ? clean(value, TEXT_MAX) : value];
}

function clean(text: string, most: number): string {
  return text.slice(0, most).toWellFormed().replaceAll("\0", "\uFFFD");
}
