import type { Selectable } from "kysely";
import { PG } from "../../foundation/db.ts";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { parseHost } from "../hosts.ts";
import type { DockTables } from "../rows.ts";
import { VercelError } from "../vercel-error.ts";

/** A domain of the team. Kept and shown: the dock is no registrar and answers no DNS. */
export type Domain = Selectable<DockTables["domains"]>;

export async function addDomain(dock: Dock, text: string): Promise<Domain> {
  const name = parseHost(text);
  if (!name?.includes(".")) {
    throw new VercelError("bad_request", "invalid_domain", `"${text.slice(0, 253)}" is not a domain.`);
  }
  try {
    return await dock.db.transaction().execute(async (tx) => {
      const row = await tx
        .insertInto("domains")
        .values({ name, id: dock.ids("dom"), settings: "{}", created_at: dock.clock.now() })
        .returningAll()
        .executeTakeFirstOrThrow();
      await dock.hooks.emit(tx, "domain.created", { more: { domain: { name } } });
      return row;
    });
  } catch (error) {
    if (errorCodeOf(error) !== PG.uniqueViolation) throw error;
    throw new VercelError("conflict", "domain_already_exists", `The domain ${name} is there already.`, {
      cause: error,
    });
  }
}

export async function listDomains(dock: Dock): Promise<Domain[]> {
  return dock.db.selectFrom("domains").selectAll().orderBy("created_at", "desc").orderBy("name").execute();
}

/** @throws AppError `not_found`. */
export async function getDomain(dock: Dock, name: string): Promise<Domain> {
  const row = await dock.db
    .selectFrom("domains")
    .selectAll()
    .where("name", "=", name.toLowerCase())
    .executeTakeFirst();
  if (row) return row;
  throw new AppError("not_found", `There is no domain "${name.slice(0, 253)}".`);
}

export async function changeDomain(
  dock: Dock,
  name: string,
  settings: Readonly<Record<string, unknown>>,
): Promise<Domain> {
  const row = await getDomain(dock, name);
  return dock.db
    .updateTable("domains")
    .set({ settings: JSON.stringify({ ...row.settings, ...settings }) })
    .where("name", "=", row.name)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** With its records. Hosts of projects under it stay. */
export async function deleteDomain(dock: Dock, name: string): Promise<Domain> {
  const row = await getDomain(dock, name);
  await dock.db.deleteFrom("domains").where("name", "=", row.name).execute();
  return row;
}
