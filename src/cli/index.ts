/**
 * The command line: a thin client of the control plane's HTTP API.
 *
 * - **command**: what one types after `signalbox`; data (options, help) and a body, one file each in `commands/`.
 * - **result** and **note**: what was asked for goes to stdout, everything beside it (progress, errors) to stderr.
 * - **tree**: the files of a folder or a commit by their digests (`tree/`); only missing contents are sent.
 * - **follow**: to be told a deployment's changes and log until it is **settled**: live, or never going to be.
 * - **detach**: to stop following (Ctrl-C); the deployment goes on.
 */
export { saveCredentials } from "./client/credentials.ts";
export type { Io, Output, Processes, UpResult } from "./context.ts";
export { EXIT, EXIT_MEANINGS, exitCodeOf } from "./exit-code.ts";
export { runCli } from "./run-cli.ts";
