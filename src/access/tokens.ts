import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Clock } from "../foundation/clock.ts";
import type { Database, Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { type Ids, randomText } from "../foundation/ids.ts";
import { type Actor, type Role, requireRole, systemActor } from "./actor.ts";
import { audit } from "./audit.ts";
import type { AccessTables } from "./tables.ts";

type Deps = { readonly db: Database<AccessTables>; readonly clock: Clock; readonly ids: Ids };

/** Makes a token. The answer's `token` is the only time that it is seen. */
export async function createToken(
  deps: Deps,
  actor: Actor,
  input: { name: string; role: Role },
): Promise<{ id: string; token: string }> {
  requireRole(actor, "owner");
  return deps.db.transaction().execute((tx) => insertToken(deps, tx, actor, input));
}

/**
 * Makes the first owner token of a fresh installation; null when there is an owner already. The table lock lets one
 * of several replicas that start together win.
 */
export async function ensureOwnerToken(deps: Deps): Promise<string | null> {
  return deps.db.transaction().execute(async (tx) => {
    await sql`lock table tokens in share row exclusive mode`.execute(tx);
    const owner = await tx
      .selectFrom("tokens")
      .select("id")
      .where("role", "=", "owner")
      .where("revoked_at", "is", null)
      .executeTakeFirst();
    if (owner) return null;
    return (await insertToken(deps, tx, systemActor("setup"), { name: "owner", role: "owner" })).token;
  });
}

/** The tokens that are good now, oldest first. */
export async function listTokens(
  deps: Pick<Deps, "db">,
): Promise<{ id: string; name: string; role: Role; createdAt: Date }[]> {
  return deps.db
    .selectFrom("tokens")
    .select(["id", "name", "role", "created_at as createdAt"])
    .where("revoked_at", "is", null)
    .orderBy("created_at")
    .execute();
}

/** Ends a token. @throws AppError `not_found` when there is none with this id, or it has ended already. */
export async function revokeToken(deps: Deps, actor: Actor, id: string): Promise<void> {
  requireRole(actor, "owner");
  const at = deps.clock.now();
  await deps.db.transaction().execute(async (tx) => {
    const revoked = await tx
      .updateTable("tokens")
      .set({ revoked_at: at })
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .executeTakeFirst();
    if (revoked.numUpdatedRows !== 1n) {
      throw new AppError("not_found", `There is no active token ${id}.`, {
        hint: "List them with GET /api/tokens.",
      });
    }
    await audit(tx, { actor, action: "token.revoke", subject: { type: "token", id }, at });
  });
}

/** Who a token belongs to; null when it is unknown or revoked. The lookup is by hash, so timing tells nothing. */
export async function findActor(deps: Pick<Deps, "db">, token: string): Promise<Actor | null> {
  const row = await deps.db
    .selectFrom("tokens")
    .select(["id", "name", "role"])
    .where("token_hash", "=", hashToken(token))
    .where("revoked_at", "is", null)
    .executeTakeFirst();
  return row ? { kind: "token", ...row } : null;
}

async function insertToken(
  deps: Deps,
  tx: Tx<AccessTables>,
  actor: Actor,
  input: { name: string; role: Role },
): Promise<{ id: string; token: string }> {
  const id = deps.ids("tok");
  const token = `sbx_${randomText(32)}`;
  const at = deps.clock.now();
  await tx
    .insertInto("tokens")
    .values({ id, name: input.name, role: input.role, token_hash: hashToken(token), created_at: at })
    .execute();
  await audit(tx, { actor, action: "token.create", subject: { type: "token", id }, details: input, at });
  return { id, token };
}

function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
