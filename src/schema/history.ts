import { AppError } from "../foundation/errors.ts";
import type { AppliedMigration, MigrationFile, Phase } from "./migrator.ts";

export type Comparison = {
  /** To be applied, in order. */
  readonly pending: readonly MigrationFile[];
  readonly problems: readonly { readonly message: string; readonly hint: string }[];
};

/** As files are ordered: by the bytes of their names, whatever the locale. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/**
 * A commit's files of a phase against what is applied. What is applied and not in the commit is no problem: an older
 * commit has fewer files. Pure.
 */
export function compareHistory(
  applied: readonly AppliedMigration[],
  files: readonly MigrationFile[],
  phase: Phase,
): Comparison {
  const done = new Map(applied.filter((one) => one.phase === phase).map((one) => [one.name, one]));
  const newest = [...done.values()].reduce<AppliedMigration | null>(
    (last, one) => (last === null || compareNames(one.name, last.name) > 0 ? one : last),
    null,
  );
  const pending: MigrationFile[] = [];
  const problems: { message: string; hint: string }[] = [];
  for (const file of files.toSorted((a, b) => compareNames(a.name, b.name))) {
    const known = done.get(file.name);
    if (known === undefined) {
      if (newest !== null && compareNames(file.name, newest.name) < 0) problems.push(misplaced(file, newest));
      pending.push(file);
    } else if (known.sha1 !== file.sha1) problems.push(changed(known));
  }
  return { pending, problems };
}

/** @throws AppError `unprocessable` with every problem. @returns what is pending. */
export function requirePending(comparison: Comparison): readonly MigrationFile[] {
  const [first] = comparison.problems;
  if (!first) return comparison.pending;
  const details = comparison.problems.map(({ message }) => message);
  throw new AppError("unprocessable", first.message, { hint: first.hint, details });
}

function changed({ name, at, release }: AppliedMigration) {
  return {
    message: `${name} was changed after it was applied on ${at.toISOString()} by ${release}.`,
    hint: `Restore ${name} as it was, and write what is new into a new file that sorts after it.`,
  };
}

function misplaced({ name }: MigrationFile, newest: AppliedMigration) {
  return {
    message: `${name} is new, but sorts before ${newest.name}, which was applied on ${newest.at.toISOString()}.`,
    hint: `Rename it so that it sorts after ${newest.name}: files run in the order of their names, everywhere.`,
  };
}
