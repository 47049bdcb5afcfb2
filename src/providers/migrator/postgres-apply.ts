import type { Clock } from "../../foundation/clock.ts";
import { AppError } from "../../foundation/errors.ts";
import type { ParsedMigration, Phase, Statement } from "../../schema/index.ts";
import { explain, isLost, type Place, SQLSTATE, sqlState } from "./postgres-errors.ts";
import { recordMigration } from "./postgres-history.ts";
import type { Executed, Session } from "./postgres-session.ts";
import type { TimeLimit } from "./time-limit.ts";

/** Waits after a lock that could not be had: 1, 2, 4, 8, 10 s, until the phase's time is over. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 10_000;
/** A process of ours that hangs must not keep a transaction open for longer. */
const IDLE_IN_TRANSACTION_MS = 60_000;
const CONNECTION_CHECK_MS = 1_000;

export type ApplyContext = {
  readonly clock: Clock;
  readonly session: Session;
  readonly limit: TimeLimit;
  readonly phase: Phase;
  readonly release: string;
  readonly lockTimeoutMs: number;
  readonly shown: string;
  readonly say: (line: string) => void;
};

/**
 * Applies one file and records it, both in one transaction; a file without a transaction is recorded after its last
 * statement. False: somebody else had applied it meanwhile.
 * @throws AppError that names file, line, code, and what is left behind.
 */
export async function applyMigration(context: ApplyContext, migration: ParsedMigration): Promise<boolean> {
  const startedAtMs = context.clock.monotonicMs();
  const { name } = migration.file;
  context.say(
    `${name}: ${migration.statements.length} statements${migration.noTransaction ? ", no transaction" : ""}`,
  );
  const done = migration.noTransaction
    ? await applyBare(context, migration)
    : await applyWithRetries(context, migration);
  const took = shownMs(context.clock.monotonicMs() - startedAtMs);
  context.say(done ? `${name}: applied in ${took}` : `${name}: was applied by another run meanwhile`);
  return done;
}

/** A lock that could not be had in time is tried again: meanwhile the app gets through. */
async function applyWithRetries(context: ApplyContext, migration: ParsedMigration): Promise<boolean> {
  const { clock, limit, say } = context;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(LONGEST_WAIT_MS, waitMs * 2)) {
    const place: { statement: Statement | null } = { statement: null };
    try {
      return await applyInTransaction(context, migration, (statement) => {
        place.statement = statement;
      });
    } catch (error) {
      const state = sqlState(error);
      const blocked = state === SQLSTATE.lockNotAvailable || state === SQLSTATE.deadlock;
      const at: Place = { migration, ...place };
      if (!blocked || limit.stopped() !== null) throw explain(error, limit, at, context.shown);
      await context.session.query("rollback");
      const blocker = await oldestTransaction(context.session);
      const what = state === SQLSTATE.deadlock ? "ran into a deadlock" : "did not get its lock";
      const line = place.statement?.line ?? 1;
      if (limit.remainingMs() <= waitMs) throw stillBlocked(context, at, `${what}${blocker}`, state);
      say(`${migration.file.name}:${line} ${what}${blocker}; trying again in ${waitMs / 1_000} s`);
      await clock.sleep(waitMs, limit.signal);
    }
  }
}

async function applyInTransaction(
  context: ApplyContext,
  migration: ParsedMigration,
  onStatement: (statement: Statement | null) => void,
): Promise<boolean> {
  const { session, phase, release, clock } = context;
  const { file } = migration;
  await prepareSession(context);
  await session.query("begin");
  // First, because the file may change the role: and because a second run of the same file waits here.
  if (!(await recordMigration(session, { file, phase, release, at: clock.now() }))) {
    await session.query("rollback");
    return false;
  }
  for (const statement of migration.statements) {
    onStatement(statement);
    await runStatement(context, migration, statement);
  }
  onStatement(null);
  try {
    await session.query("commit");
  } catch (error) {
    // Postgres did not answer: whether it is committed, only the next run can find out.
    if (isLost(error)) throw uncertain(error, context, { migration, statement: null });
    throw error;
  }
  return true;
}

async function applyBare(context: ApplyContext, migration: ParsedMigration): Promise<boolean> {
  const { session, phase, release, clock } = context;
  const { file } = migration;
  let statement: Statement | null = null;
  try {
    await prepareSession(context);
    for (statement of migration.statements) {
      // Made to wait for everyone without standing in anyone's way: there a limit would only leave half an index.
      const patient = statement.tokens.some(({ kind, text }) => kind === "word" && text === "CONCURRENTLY");
      await session.query(`set lock_timeout = ${patient ? 0 : context.lockTimeoutMs}`);
      await runStatement(context, migration, statement);
    }
    statement = null;
    await resetSession(session);
    return await recordMigration(session, { file, phase, release, at: clock.now() });
  } catch (error) {
    const place: Place = { migration, statement };
    if (statement === null && isLost(error)) throw uncertain(error, context, place);
    throw explain(error, context.limit, place, context.shown);
  }
}

/** Undoes what a file may have set. */
export async function resetSession(session: Session): Promise<void> {
  await session.query("reset session authorization; reset role; reset all");
}

/** Sets our limits on the server, where they hold without us. */
async function prepareSession({ session, limit, lockTimeoutMs }: ApplyContext): Promise<void> {
  await resetSession(session);
  await session.query(`set lock_timeout = ${lockTimeoutMs};
    set statement_timeout = ${limit.remainingMs() + 1_000};
    set idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MS};
    set client_min_messages = notice;
    set standard_conforming_strings = on`);
  try {
    await session.query(`set client_connection_check_interval = ${CONNECTION_CHECK_MS}`);
  } catch (error) {
    // Not every system can; the statement's own limit is left.
    if (sqlState(error) === null) throw error;
  }
}

async function runStatement(
  { session, clock, say }: ApplyContext,
  { file }: ParsedMigration,
  statement: Statement,
): Promise<void> {
  const startedAtMs = clock.monotonicMs();
  const { command, rows } = await session.execute(statement.text);
  const took = shownMs(clock.monotonicMs() - startedAtMs);
  say(`${file.name}:${statement.line} ${describe(statement, { command, rows })}, ${took}`);
}

function describe(statement: Statement, { command, rows }: Executed): string {
  const words = statement.tokens.slice(0, 2).filter(({ kind }) => kind === "word");
  // Postgres' tag of DDL comes without what it was about (`CREATE`); of rows it is the count that tells.
  if (rows === null) return words.map(({ text }) => text).join(" ") || (command ?? "done");
  return `${command ?? ""} ${rows} ${rows === 1 ? "row" : "rows"}`.trim();
}

/** Most often what a lock waits for: who has had a transaction open for longest. */
async function oldestTransaction(session: Session): Promise<string> {
  const [row] = await session.query<{
    pid: number;
    application_name: string;
    state: string | null;
    xact_start: Date;
  }>(
    `select pid, application_name, state, xact_start from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
     order by xact_start limit 1`,
  );
  if (!row) return "";
  const who = row.application_name || "unnamed";
  const since = row.xact_start.toISOString();
  return ` (the oldest open transaction: ${who}, process ${row.pid}, ${row.state ?? "unknown"}, since ${since})`;
}

function stillBlocked(context: ApplyContext, place: Place, what: string, state: string | null): AppError {
  const { name } = place.migration.file;
  const line = place.statement?.line ?? null;
  const tries = `within ${context.lockTimeoutMs} ms, however often it tried (${state})`;
  const message = `${name}, line ${line ?? 1}: ${what} ${tries}.`;
  return new AppError("unprocessable", message, {
    hint: `Nothing of ${name} stays. End the long transaction, or deploy when there is none; then try again.`,
    details: { file: name, line, sqlState: state },
  });
}

function uncertain(error: unknown, context: ApplyContext, place: Place): AppError {
  const { name } = place.migration.file;
  const { code, message } = explain(error, context.limit, null, context.shown);
  return new AppError(code, `${message} It is not known whether ${name} was recorded.`, {
    hint: "Run it again: it looks first, and applies what is not recorded.",
    details: { file: name, uncertain: name },
  });
}

function shownMs(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
}
