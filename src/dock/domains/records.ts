import type { Selectable } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import type { DockTables } from "../rows.ts";
import { getDomain } from "./domains.ts";

export type DnsRecord = Selectable<DockTables["dns_records"]>;
export type RecordInput = Pick<DnsRecord, "type" | "name" | "value" | "ttl" | "mx_priority" | "comment">;

const MOST_RECORDS = 1_000;

export async function createRecord(dock: Dock, domain: string, input: RecordInput): Promise<DnsRecord> {
  const { name } = await getDomain(dock, domain);
  if ((await listRecords(dock, name)).length >= MOST_RECORDS) {
    throw new AppError("bad_request", `The domain ${name} has ${MOST_RECORDS} records already.`);
  }
  const now = dock.clock.now();
  return dock.db
    .insertInto("dns_records")
    .values({ id: dock.ids("rec"), domain: name, ...input, created_at: now, updated_at: now })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Newest first. */
export async function listRecords(dock: Dock, domain: string): Promise<DnsRecord[]> {
  const { name } = await getDomain(dock, domain);
  return dock.db
    .selectFrom("dns_records")
    .selectAll()
    .where("domain", "=", name)
    .orderBy("created_at", "desc")
    .orderBy("id")
    .execute();
}

export async function updateRecord(
  dock: Dock,
  id: string,
  changes: Partial<RecordInput>,
): Promise<DnsRecord> {
  await getRecord(dock, id);
  return dock.db
    .updateTable("dns_records")
    .set({ ...changes, updated_at: dock.clock.now() })
    .where("id", "=", id)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function deleteRecord(dock: Dock, domain: string, id: string): Promise<void> {
  const { name } = await getDomain(dock, domain);
  const row = await getRecord(dock, id);
  if (row.domain !== name) throw noRecord(id);
  await dock.db.deleteFrom("dns_records").where("id", "=", id).execute();
}

async function getRecord(dock: Dock, id: string): Promise<DnsRecord> {
  const row = await dock.db.selectFrom("dns_records").selectAll().where("id", "=", id).executeTakeFirst();
  if (row) return row;
  throw noRecord(id);
}

function noRecord(id: string): AppError {
  return new AppError("not_found", `There is no DNS record "${id.slice(0, 100)}".`);
}
