import type { Tx } from "../foundation/db.ts";
import type { Actor } from "./actor.ts";
import type { AccessTables } from "./tables.ts";

export type AuditEntry = {
  readonly actor: Actor;
  /** `subject.verb`: `deployment.trigger`, `token.create`. */
  readonly action: string;
  readonly subject: { readonly type: string; readonly id: string };
  /** What changed, without secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly at: Date;
};

/** Writes an audit entry. Pass the mutation's own transaction: then a mutation without its entry cannot exist. */
export async function audit<T extends AccessTables>(tx: Tx<T>, entry: AuditEntry): Promise<void> {
  await (tx as unknown as Tx<AccessTables>)
    .insertInto("audit_log")
    .values({
      at: entry.at,
      actor_kind: entry.actor.kind,
      actor_id: entry.actor.id,
      actor_name: entry.actor.name,
      action: entry.action,
      subject_type: entry.subject.type,
      subject_id: entry.subject.id,
      details: JSON.stringify(entry.details ?? {}),
    })
    .execute();
}
