import type { Clock } from "../../foundation/clock.ts";
import { AppError } from "../../foundation/errors.ts";
import type { Session } from "./postgres-session.ts";
import type { TimeLimit } from "./time-limit.ts";

/** "sign", "albo": of ours alone in a database, whose advisory locks no other database sees. */
const LOCK = [0x7369676e, 0x616c626f] as const;
const POLL_MS = 250;
/** So often it is said again who is waited for. */
const SAY_AGAIN_MS = 30_000;

type Holder = {
  readonly pid: number;
  readonly application_name: string | null;
  readonly backend_start: Date | null;
};

/**
 * Takes the lock that lets one migration at a time change the database. Whoever holds it is named while this waits.
 * The lock goes with the connection, so that no crash leaves it behind.
 * @throws AppError `timeout` that names the holder.
 */
export async function takeLock(
  deps: { clock: Clock },
  session: Session,
  limit: TimeLimit,
  say: (line: string) => void,
): Promise<void> {
  let said: { holder: string; atMs: number } | null = null;
  try {
    while (!(await tryLock(session))) {
      const holder = await describeHolder(session);
      const nowMs = deps.clock.monotonicMs();
      if (said === null || said.holder !== holder || nowMs - said.atMs >= SAY_AGAIN_MS) {
        said = { holder, atMs: nowMs };
        say(`Waiting: another migration of this database is running (${holder}).`);
      }
      await deps.clock.sleep(POLL_MS, limit.signal);
    }
  } catch (error) {
    if (said !== null && limit.stopped() === "timeout") throw stillLocked(said.holder, limit);
    throw error;
  }
}

export async function releaseLock(session: Session): Promise<void> {
  await session.query("select pg_advisory_unlock($1, $2)", LOCK);
}

async function tryLock(session: Session): Promise<boolean> {
  const [row] = await session.query<{ taken: boolean }>("select pg_try_advisory_lock($1, $2) as taken", LOCK);
  return row?.taken === true;
}

async function describeHolder(session: Session): Promise<string> {
  const [holder] = await session.query<Holder>(
    `select a.pid, a.application_name, a.backend_start
     from pg_locks l left join pg_stat_activity a using (pid)
     where l.locktype = 'advisory' and l.classid = $1::int::oid and l.objid = $2::int::oid and l.objsubid = 2
       and l.granted and l.database = (select oid from pg_database where datname = current_database())`,
    LOCK,
  );
  if (!holder) return "it has just ended";
  const since =
    holder.backend_start === null ? "" : `, connected since ${holder.backend_start.toISOString()}`;
  return `${holder.application_name || "unnamed"}, process ${holder.pid}${since}`;
}

function stillLocked(holder: string, limit: TimeLimit): AppError {
  const seconds = Math.round(limit.timeoutMs / 100) / 10;
  return new AppError(
    "timeout",
    `Another migration of this database held the lock for ${seconds} s: ${holder}.`,
    {
      hint: "Nothing was run. Wait for it, or end its process with pg_terminate_backend if it hangs.",
    },
  );
}
