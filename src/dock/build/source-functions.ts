import { BuildFailure } from "./build.ts";

// What `vercel build` makes a function of without being told. Source: vercel.com/docs/functions, "Supported runtimes".
const FUNCTION = /^api\/.+\.(?:[cm]?[jt]sx?|py|go|rb|rs)$/;
// Helpers beside functions are named so.
const HIDDEN = /(?:^|\/)[._]|\.d\.[cm]?ts$/;

/**
 * Refuses a tree with functions where nothing here makes any: as plain files their source would be for everyone to
 * read. @throws BuildFailure `BUILD_INVALID_CONFIG`
 */
export function assertNoSourceFunctions(paths: readonly string[]): void {
  const functions = paths.filter((path) => FUNCTION.test(path) && !HIDDEN.test(path));
  if (functions.length === 0) return;
  const more = functions.length > 1 ? ` and ${functions.length - 1} more` : "";
  throw new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `${functions[0]}${more} would be a function on Vercel; here only the Vercel CLI makes functions. There is none.`,
    "Install it on the dock's machine (`npm install --global vercel`) or set SIGNALBOX_VERCEL_CLI to its path. Where " +
      "these are files to be served as they are, set SIGNALBOX_BUILDER=dock among the build's variables.",
  );
}
