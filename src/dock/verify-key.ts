import { AppError } from "../foundation/errors.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import type { DockDatabase } from "./rows.ts";

const CONTEXT = "key-check";

/** @throws AppError `conflict` when the database was sealed with another key. */
export async function verifyKey(db: DockDatabase, secrets: SecretBox): Promise<void> {
  const { key_check } = await db.selectFrom("dock_state").select("key_check").executeTakeFirstOrThrow();
  if (key_check === null) {
    await db
      .updateTable("dock_state")
      .set({ key_check: secrets.seal(CONTEXT, CONTEXT) })
      .execute();
    return;
  }
  try {
    secrets.open(key_check, CONTEXT);
  } catch (cause) {
    throw new AppError("conflict", "The dock's key file is not the one that its database was sealed with.", {
      hint: "Put back the key file of this database; without it the stored variables cannot be read.",
      cause,
    });
  }
}
