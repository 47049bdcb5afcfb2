import type { Selectable } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import { randomText } from "../../foundation/ids.ts";
import type { Dock } from "../dock.ts";
import type { DockTables } from "../rows.ts";

export type Webhook = Selectable<DockTables["webhooks"]>;

const MOST_WEBHOOKS = 50;

/** @returns the webhook with its secret, which is never shown again. */
export async function createWebhook(
  dock: Dock,
  input: { url: string; events: readonly string[]; projectIds: readonly string[] },
): Promise<{ webhook: Webhook; secret: string }> {
  const all = await dock.db.selectFrom("webhooks").select("id").execute();
  if (all.length >= MOST_WEBHOOKS) {
    throw new AppError("bad_request", `There are ${MOST_WEBHOOKS} webhooks already.`, {
      hint: "Delete one first.",
    });
  }
  const now = dock.clock.now();
  const id = dock.ids("account_hook");
  const secret = randomText(40);
  const webhook = await dock.db
    .insertInto("webhooks")
    .values({
      id,
      url: input.url,
      events: [...input.events],
      project_ids: [...input.projectIds],
      sealed: dock.secrets.seal(secret, id),
      created_at: now,
      updated_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await dock.hooks.reload();
  return { webhook, secret };
}

export async function listWebhooks(dock: Dock): Promise<Webhook[]> {
  return dock.db.selectFrom("webhooks").selectAll().orderBy("created_at", "desc").execute();
}

/** @throws AppError `not_found`. */
export async function getWebhook(dock: Dock, id: string): Promise<Webhook> {
  const row = await dock.db.selectFrom("webhooks").selectAll().where("id", "=", id).executeTakeFirst();
  if (row) return row;
  throw new AppError("not_found", `There is no webhook "${id.slice(0, 100)}".`);
}

/** What it was not sent yet is sent no more. */
export async function deleteWebhook(dock: Dock, id: string): Promise<void> {
  await getWebhook(dock, id);
  await dock.db.deleteFrom("webhooks").where("id", "=", id).execute();
  await dock.hooks.reload();
}
