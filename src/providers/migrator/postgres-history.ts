import { AppError } from "../../foundation/errors.ts";
import type { AppliedMigration, MigrationFile, Phase, SchemaVersion } from "../../schema/index.ts";
import { SQLSTATE, sqlState } from "./postgres-errors.ts";
import type { Session } from "./postgres-session.ts";

const TABLE = "signalbox.signalbox_migrations";

/** Makes the table of what is applied. Whoever loses a race for it finds it there. */
export async function ensureHistory(session: Session): Promise<void> {
  const make = async () => {
    const [found] = await session.query<{ there: boolean }>(`select to_regclass($1) is not null as there`, [
      TABLE,
    ]);
    if (found?.there) return;
    await session.query(`create schema if not exists signalbox;
      create table if not exists ${TABLE} (
        name text collate "C" not null,
        phase text not null check (phase in ('expand', 'contract')),
        sha1 text not null,
        release text not null,
        applied_at timestamptz not null,
        primary key (phase, name))`);
  };
  try {
    await make();
  } catch (error) {
    // "if not exists" still races on the catalogue's unique index.
    if (sqlState(error) === SQLSTATE.uniqueViolation) return make();
    if (sqlState(error) !== "42501") throw error;
    throw new AppError(
      "unprocessable",
      "The user of the app's database may not make the schema signalbox in it.",
      {
        hint: "Grant it: `grant create on database … to …`; or make the schema and give it to the user.",
      },
    );
  }
}

/** What is applied, in the order in which it was. Nothing where there is no table yet. */
export async function readHistory(session: Session): Promise<AppliedMigration[]> {
  try {
    return await session.query<AppliedMigration>(
      `select name, phase, sha1, release, applied_at as at from ${TABLE} order by applied_at, phase desc, name`,
    );
  } catch (error) {
    const state = sqlState(error);
    if (state === SQLSTATE.undefinedTable || state === SQLSTATE.undefinedSchema) return [];
    throw error;
  }
}

/** False: it is there already. Of two transactions that write the same one, the second waits for the first. */
export async function recordMigration(
  session: Session,
  row: { file: MigrationFile; phase: Phase; release: string; at: Date },
): Promise<boolean> {
  const { file, phase, release, at } = row;
  const written = await session.query(
    `insert into ${TABLE} (name, phase, sha1, release, applied_at) values ($1, $2, $3, $4, $5)
     on conflict do nothing returning name`,
    [file.name, phase, file.sha1, release, at],
  );
  return written.length === 1;
}

export async function readVersion(session: Session): Promise<SchemaVersion> {
  const applied = await readHistory(session);
  const newest = (phase: Phase) =>
    applied
      .filter((one) => one.phase === phase)
      .map(({ name }) => name)
      .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .at(-1) ?? null;
  return { expand: newest("expand"), contract: newest("contract") };
}
