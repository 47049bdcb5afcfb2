import { compareNames } from "./history.ts";

/** A contract file that an environment's database has been through. */
export type AppliedContract = {
  readonly name: string;
  /** The deployment that applied it. */
  readonly release: string;
  readonly at: Date;
  /** False: its run is under way or was cut off, and it may have been applied. Counts all the same. */
  readonly certain: boolean;
};

export type RollbackBarrier = { readonly name: string; readonly by: string; readonly at: Date };

/**
 * Whether the database lacks something that a release needs: the newest applied contract that the release's own commit
 * does not carry. Null: nothing stands between. Pure.
 * @param releaseContracts names of the contract files in the release's own commit.
 */
export function rollbackBarrier(
  applied: readonly Omit<AppliedContract, "certain">[],
  releaseContracts: readonly string[],
): RollbackBarrier | null {
  const carried = new Set(releaseContracts);
  const [newest] = applied
    .filter(({ name }) => !carried.has(name))
    .toSorted((a, b) => b.at.getTime() - a.at.getTime() || compareNames(b.name, a.name));
  return newest ? { name: newest.name, by: newest.release, at: newest.at } : null;
}
