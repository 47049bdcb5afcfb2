import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import type { SettingsDeps } from "./deps.ts";
import { contextOf } from "./secrets.ts";

export type SecretPlace = {
  /** The project's name. */
  readonly project: string;
  /** Null: all environments. */
  readonly environment: string | null;
  readonly name: string;
};

/** Sets a secret, in place of what it was before (deployer). @throws AppError `forbidden`, `not_found`. */
export async function setSecret(
  { db, clock, box, projectIdOf, changed }: SettingsDeps,
  actor: Actor,
  { project, environment, name, value }: SecretPlace & { readonly value: string },
): Promise<{ created: boolean }> {
  requireRole(actor, "deployer");
  const id = await projectIdOf(project);
  const at = clock.now();
  return db.transaction().execute(async (tx) => {
    const row = { sealed: box.seal(value, contextOf(id, environment, name)), updated_at: at };
    const before = await tx
      .selectFrom("project_secrets")
      .select("name")
      .where("project_id", "=", id)
      .where("environment", "is not distinct from", environment)
      .where("name", "=", name)
      .executeTakeFirst();
    const set = { ...row, actor_name: actor.name };
    await tx
      .insertInto("project_secrets")
      .values({ project_id: id, environment, name, ...set })
      .onConflict((conflict) => conflict.columns(["project_id", "environment", "name"]).doUpdateSet(set))
      .execute();
    const subject = { type: "project", id };
    await audit(tx, { actor, action: "secret.set", subject, details: { name, environment }, at });
    await changed(tx);
    return { created: before === undefined };
  });
}

/** Takes a secret away (deployer). @throws AppError `not_found`: there is none of that name in that place. */
export async function deleteSecret(
  { db, clock, projectIdOf, changed }: SettingsDeps,
  actor: Actor,
  { project, environment, name }: SecretPlace,
): Promise<void> {
  requireRole(actor, "deployer");
  const id = await projectIdOf(project);
  const at = clock.now();
  await db.transaction().execute(async (tx) => {
    const { numDeletedRows } = await tx
      .deleteFrom("project_secrets")
      .where("project_id", "=", id)
      .where("environment", "is not distinct from", environment)
      .where("name", "=", name)
      .executeTakeFirst();
    if (numDeletedRows === 0n) {
      const where = environment === null ? "for all environments" : `of ${environment}`;
      throw new AppError("not_found", `${project} has no secret ${name} ${where}.`, {
        hint: "`signalbox secret list` shows names and environments.",
      });
    }
    const subject = { type: "project", id };
    await audit(tx, { actor, action: "secret.delete", subject, details: { name, environment }, at });
    await changed(tx);
  });
}
