import { sql } from "kysely";
import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { TreeFile } from "../targets/target.ts";
import { MAX_TEXT_BYTES } from "./migration-files.ts";
import type { SourceTables } from "./tables.ts";

/** A text that is read is kept for longer; noted once a day. */
const TOUCH_AFTER_MS = 24 * 3_600_000;

type Content = Pick<TreeFile, "sha1" | "path" | "size">;

/** Asks for these contents. @returns the digests of those that are still to be sent. */
export async function askForTexts(
  db: Tx<SourceTables>,
  contents: readonly Content[],
  at: Date,
): Promise<string[]> {
  const rows = new Map(
    contents.map(({ sha1, path, size }) => [sha1, { sha1, path: path.toWellFormed(), text: null, size, at }]),
  );
  if (rows.size === 0) return [];
  // In one order everywhere, so that two trees with the same files do not wait for each other in a circle.
  const ordered = [...rows.values()].sort((a, b) => (a.sha1 < b.sha1 ? -1 : 1));
  const asked = await db
    .insertInto("source_texts")
    .values(ordered)
    .onConflict((conflict) =>
      conflict.column("sha1").doUpdateSet({ at, path: (eb) => eb.ref("excluded.path") }),
    )
    .returning(["sha1", sql<boolean>`text is null`.as("missing")])
    .execute();
  return asked.filter(({ missing }) => missing).map(({ sha1 }) => sha1);
}

/** The path of a content that was asked for and is not here yet; null for every other. */
export async function wantedTextPath(db: Tx<SourceTables>, sha1: string): Promise<string | null> {
  const row = await db
    .selectFrom("source_texts")
    .select("path")
    .where("sha1", "=", sha1)
    .where("text", "is", null)
    .executeTakeFirst();
  return row?.path ?? null;
}

export async function keepText(
  db: Tx<SourceTables>,
  { sha1, path, size, text }: Content & { readonly text: string },
  at: Date,
): Promise<void> {
  await db
    .insertInto("source_texts")
    .values({ sha1, path, text, size, at })
    .onConflict((conflict) => conflict.column("sha1").doUpdateSet({ text, at }))
    .execute();
}

/** The texts that are here, by digest. */
export async function readTexts(
  db: Tx<SourceTables>,
  sha1s: readonly string[],
  at: Date,
): Promise<Map<string, string>> {
  if (sha1s.length === 0) return new Map();
  const among = sql<string>`any(${[...new Set(sha1s)]}::text[])`;
  const rows = await db
    .selectFrom("source_texts")
    .select(["sha1", "text"])
    .where("sha1", "=", among)
    .where("text", "is not", null)
    .execute();
  const yesterday = new Date(at.getTime() - TOUCH_AFTER_MS);
  await db
    .updateTable("source_texts")
    .set({ at })
    .where("sha1", "=", among)
    .where("at", "<", yesterday)
    .execute();
  return new Map(rows.map(({ sha1, text }) => [sha1, text ?? ""]));
}

/** @throws AppError `unprocessable` */
export function checkTextSize(name: string, size: number): void {
  if (size <= MAX_TEXT_BYTES) return;
  throw new AppError(
    "unprocessable",
    `${name} has ${size} bytes, and a migration may have ${MAX_TEXT_BYTES}.`,
    {
      hint: "Split it, and load data by other means.",
    },
  );
}

/** @throws AppError `unprocessable` for what Postgres cannot store as a text, and no SQL file is. */
export function toText(name: string, bytes: Buffer): string {
  let text: string;
  try {
    // With its byte order mark, if it has one: the text must be these very bytes.
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw noText(name, "is not UTF-8", cause);
  }
  if (text.includes("\0")) throw noText(name, "has a NUL character");
  return text;
}

function noText(name: string, why: string, cause?: unknown): AppError {
  return new AppError("unprocessable", `${name} is read as a migration, and ${why}.`, {
    hint: "Save it as UTF-8 text, or under a name that does not end in .sql.",
    cause,
  });
}
