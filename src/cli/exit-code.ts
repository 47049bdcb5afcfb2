import { AppError, type ErrorCode } from "../foundation/errors.ts";

/** What a script may rely on. Listed by `signalbox help` and in docs/cli.md. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  denied: 4,
  conflict: 5,
  notFound: 6,
  waiting: 7,
  detached: 130,
} as const;

export const EXIT_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, "done; a followed deployment is live"],
  [EXIT.failed, "the deployment failed, was rejected, canceled or rolled back; or a check failed"],
  [EXIT.usage, "wrong usage: an unknown command, option or value"],
  [EXIT.unreachable, "the control plane cannot be reached"],
  [EXIT.denied, "the token is missing, wrong, or not allowed to do this"],
  [EXIT.conflict, "a conflict: already in flight, overtaken by a newer deployment, nothing to roll back to"],
  [EXIT.notFound, "no such deployment, project, path or ref"],
  [EXIT.waiting, "not done: the deployment waits for a person, and nobody is to wait with it"],
  [EXIT.detached, "detached by Ctrl-C; a deployment that was accepted goes on"],
];

const BY_CODE = {
  bad_request: EXIT.usage,
  unauthorized: EXIT.denied,
  forbidden: EXIT.denied,
  not_found: EXIT.notFound,
  conflict: EXIT.conflict,
  in_flight: EXIT.conflict,
  unprocessable: EXIT.failed,
  too_large: EXIT.failed,
  rate_limited: EXIT.failed,
  timeout: EXIT.unreachable,
  canceled: EXIT.detached,
  unavailable: EXIT.unreachable,
  upstream: EXIT.unreachable,
  internal: EXIT.failed,
} as const satisfies Record<ErrorCode, number>;

/** The exit code of anything thrown: by the error's code; 1 for an error of our own making. */
export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof AppError ? BY_CODE[thrown.code] : EXIT.failed;
}
