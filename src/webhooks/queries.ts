import type { Tx } from "../foundation/db.ts";
import type { Outcome } from "./decide-delivery.ts";
import type { WebhookTables } from "./tables.ts";

type Db = Tx<WebhookTables>;

/** A claim older than this had its process die under it. GitHub itself gives up after 10 s. */
export const CLAIM_MS = 15_000;
/** How long a repeated delivery is known as one. GitHub offers to redeliver for 3 days. */
const KEPT_MS = 30 * 86_400_000;

export type Delivery = { readonly projectId: string; readonly deliveryId: string; readonly event: string };

/** `mine`: act on it. Else its outcome; null while somebody is at it. */
export type Claim = { readonly mine: true } | { readonly mine: false; readonly outcome: Outcome | null };

/** The right to act on a delivery, for one caller of however many bring it. */
export async function claimDelivery(db: Db, delivery: Delivery, now: Date): Promise<Claim> {
  const claimed = await db
    .insertInto("webhook_deliveries")
    .values({
      project_id: delivery.projectId,
      delivery_id: delivery.deliveryId,
      event: delivery.event,
      received_at: now,
      claimed_at: now,
      outcome: null,
    })
    .onConflict((conflict) =>
      conflict
        .columns(["project_id", "delivery_id"])
        .doUpdateSet({ claimed_at: now })
        .where("webhook_deliveries.outcome", "is", null)
        .where("webhook_deliveries.claimed_at", "<", new Date(now.getTime() - CLAIM_MS)),
    )
    .returning("delivery_id")
    .executeTakeFirst();
  if (claimed) return { mine: true };
  const found = await db
    .selectFrom("webhook_deliveries")
    .select("outcome")
    .where("project_id", "=", delivery.projectId)
    .where("delivery_id", "=", delivery.deliveryId)
    .executeTakeFirst();
  return { mine: false, outcome: found?.outcome ?? null };
}

/** Also forgets what is too old to be repeated. */
export async function settleDelivery(db: Db, delivery: Delivery, outcome: Outcome, now: Date): Promise<void> {
  await db
    .updateTable("webhook_deliveries")
    .set({ outcome: JSON.stringify(outcome) })
    .where("project_id", "=", delivery.projectId)
    .where("delivery_id", "=", delivery.deliveryId)
    .execute();
  await db
    .deleteFrom("webhook_deliveries")
    .where("project_id", "=", delivery.projectId)
    .where("received_at", "<", new Date(now.getTime() - KEPT_MS))
    .execute();
}

/** What failed may be tried again with the same id. */
export async function releaseDelivery(db: Db, delivery: Delivery): Promise<void> {
  await db
    .deleteFrom("webhook_deliveries")
    .where("project_id", "=", delivery.projectId)
    .where("delivery_id", "=", delivery.deliveryId)
    .where("outcome", "is", null)
    .execute();
}

export async function recentDeliveries(
  db: Db,
  projectId: string,
): Promise<{ id: string; event: string; receivedAt: Date; outcome: Outcome | null }[]> {
  return db
    .selectFrom("webhook_deliveries")
    .select(["delivery_id as id", "event", "received_at as receivedAt", "outcome"])
    .where("project_id", "=", projectId)
    .orderBy("received_at", "desc")
    .limit(20)
    .execute();
}
