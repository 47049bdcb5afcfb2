import { AppError, type ErrorCode, errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { lineAt, type ParsedMigration, type Statement } from "../../schema/index.ts";
import type { TimeLimit } from "./time-limit.ts";

/** Where a migration was when something went wrong. */
export type Place = { readonly migration: ParsedMigration; readonly statement: Statement | null };

/** SQLSTATEs that we act on. Source: PostgreSQL manual, appendix A. */
export const SQLSTATE = {
  lockNotAvailable: "55P03",
  deadlock: "40P01",
  uniqueViolation: "23505",
  undefinedTable: "42P01",
  undefinedSchema: "3F000",
} as const;

const HINTS: Readonly<Record<string, string>> = {
  "25001": "Begin the file with `--! no-transaction`: its statements then run one by one, each for itself.",
  "2D000": "A block that commits needs a file that begins with `--! no-transaction`.",
  "42501": "Give the user of the app's database this right, or let its owner run the statement.",
  "57014": "Somebody or a statement_timeout of the file canceled it; deploy again when that is settled.",
};

/** Anything thrown while migrating, as what a user can act on. Secrets are hidden by whoever shows it. */
export function explain(error: unknown, limit: TimeLimit, place: Place | null, shown: string): AppError {
  if (error instanceof AppError) return error;
  // A bug of ours is no fault of the database.
  if (error instanceof TypeError || error instanceof RangeError) throw error;
  const stopped = limit.stopped();
  if (stopped === "canceled") {
    return new AppError("canceled", `The migration was canceled${whereOf(place)}.`, {
      hint: leftBehind(place),
    });
  }
  if (stopped === "timeout") {
    const seconds = Math.round(limit.timeoutMs / 100) / 10;
    // Where no file had begun it was the connection that took so long, which a retry may cure.
    const code = place === null ? "timeout" : "unprocessable";
    const left = place === null ? "" : `It was canceled on the server. ${leftBehind(place)} `;
    return new AppError(code, `The migrations did not finish within ${seconds} s${whereOf(place)}.`, {
      hint: `${left}Make the statement smaller, or raise migrations.timeout.`,
    });
  }
  const state = sqlState(error);
  if (state === null || isConnectionFault(state)) return unreachable(error, state, place, shown);
  if (place === null) return refusedByServer(error, state, shown);
  return badStatement(error, state, place);
}

/** Five characters: Postgres answered. Null: the network's error, or none that we know. */
export function sqlState(error: unknown): string | null {
  const code = errorCodeOf(error);
  // Node's own codes are longer, but for EPIPE.
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && code !== "EPIPE" ? code : null;
}

/** The connection is gone, so that what was asked last may have been done. */
export function isLost(error: unknown): boolean {
  const state = sqlState(error);
  return state === null || /^(?:08|57P0)/.test(state);
}

/** The statement's line, or the one in it that Postgres points to. */
export function lineOf({ migration, statement }: Place, error: unknown): number | null {
  if (statement === null) return null;
  const position = Number((error as { position?: unknown }).position);
  if (!Number.isInteger(position) || position < 1) return statement.line;
  // Postgres counts characters, and a JavaScript string has two units for some.
  const offset = [...statement.text].slice(0, position - 1).join("").length;
  return lineAt(migration.file.sql, statement.at + offset);
}

function badStatement(error: unknown, state: string, place: Place): AppError {
  const { name } = place.migration.file;
  const line = lineOf(place, error);
  const at = line === null ? name : `${name}, line ${line}`;
  const own = (error as { hint?: unknown }).hint;
  const copying = messageOf(error).startsWith("COPY from stdin failed");
  const ours = copying ? "A file has no input for COPY … FROM STDIN; use INSERT." : HINTS[state];
  const hint = [typeof own === "string" ? own : null, ours, leftBehind(place)].filter(Boolean);
  return new AppError("unprocessable", `${at}: ${messageOf(error)} (${state})`, {
    hint: hint.join(" "),
    details: { file: name, line, sqlState: state },
  });
}

function unreachable(error: unknown, state: string | null, place: Place | null, shown: string): AppError {
  const why = `${messageOf(error)}${state === null ? "" : ` (${state})`}`;
  const message =
    place === null
      ? `The app's database at ${shown} could not be reached: ${why}.`
      : `The connection to the app's database at ${shown} broke${whereOf(place)}: ${why}.`;
  return new AppError("unavailable", message, {
    hint: `${leftBehind(place)} See that it is up; the same run may be repeated.`.trim(),
  });
}

function refusedByServer(error: unknown, state: string, shown: string): AppError {
  const code: ErrorCode = "unprocessable";
  return new AppError(code, `The app's database at ${shown} refused: ${messageOf(error)} (${state}).`, {
    hint: HINTS[state] ?? "Check user, password and database of the variable that migrations.database names.",
    details: { sqlState: state },
  });
}

function isConnectionFault(state: string): boolean {
  // Connection exceptions; insufficient resources (too many connections, disk full); shutdown, crash, starting up.
  return /^(?:08|53|57P0)/.test(state);
}

function whereOf(place: Place | null): string {
  if (place === null) return "";
  const line = place.statement === null ? "" : `, line ${place.statement.line}`;
  return ` in ${place.migration.file.name}${line}`;
}

function leftBehind(place: Place | null): string {
  if (place === null) return "";
  return place.migration.noTransaction
    ? `What ${place.migration.file.name} did so far stays, and it will be run from its beginning again.`
    : `Nothing of ${place.migration.file.name} stays.`;
}
