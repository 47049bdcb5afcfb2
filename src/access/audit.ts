import { type QueryExecutorProvider, sql } from "kysely";
import type { Actor } from "./actor.ts";

export type AuditEntry = {
  readonly actor: Actor;
  /** `subject.verb`: `deployment.trigger`, `token.create`. */
  readonly action: string;
  readonly subject: { readonly type: string; readonly id: string };
  /** What changed, without secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly at: Date;
};

/**
 * Writes an audit entry. Pass the mutation's own transaction: then a mutation without its entry cannot exist. Of a
 * transaction it asks only that it can execute, because every domain's is of other tables.
 */
export async function audit(tx: QueryExecutorProvider, entry: AuditEntry): Promise<void> {
  const { actor, action, subject, details = {}, at } = entry;
  await sql`
    insert into audit_log (at, actor_kind, actor_id, actor_name, action, subject_type, subject_id, details)
    values (${at}, ${actor.kind}, ${actor.id}, ${actor.name}, ${action}, ${subject.type}, ${subject.id},
      ${JSON.stringify(details)})`.execute(tx);
}
