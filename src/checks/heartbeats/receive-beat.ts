import { AppError } from "../../foundation/errors.ts";
import { afterBeat, type Beat } from "./beat.ts";
import type { HeartbeatDeps } from "./deps.ts";
import { changeHeartbeat, findByKey } from "./queries.ts";
import { tell } from "./tell.ts";

/** Beats of one heartbeat that come at once each find it changed by the one before. */
const TRIES = 20;

/**
 * Takes a beat that arrived at `at`. Once this resolves it is stored, and its check says so.
 * @throws AppError `not_found` for a key that there is not; `unavailable`.
 */
export async function receiveBeat(
  deps: HeartbeatDeps,
  key: string,
  beat: Beat & { readonly output: string | null },
  at: Date,
): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const before = await findByKey(deps.db, key);
    if (before === null) {
      throw new AppError("not_found", "There is no heartbeat with this key.", {
        hint: "Its address is shown once, when its key is made. Make a new one if it is lost.",
      });
    }
    // The start of a run leaves the output of the one before it.
    const output = beat.kind === "start" && beat.output === null ? {} : { last_output: beat.output };
    const change = {
      ...afterBeat(before, before.schedule, beat, at),
      ...output,
      last_at: at,
      last_kind: beat.kind,
      last_exit_code: beat.exitCode,
      // At once, until it was told.
      tell_at: at,
    };
    if (!(await changeHeartbeat(deps.db, before, change))) continue;
    if (before.state === "new" && beat.kind === "start") return;
    return tell(deps, before.check_id);
  }
  throw new AppError("unavailable", "This heartbeat is beating too often at once.", {
    hint: "Send it again.",
  });
}
