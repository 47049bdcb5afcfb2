import { sql } from "kysely";
import { type Actor, audit, requireRole } from "../access/index.ts";
import type { Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import { parseNetworks } from "../foundation/safe-fetch.ts";
import type { SettingsDeps } from "./deps.ts";
import type { SettingsTables } from "./tables.ts";

/**
 * Lets a project reach a private network (owner); again: for another reason.
 * @throws AppError `forbidden`, `not_found`; `bad_request` for what is no network, or all of them.
 */
export async function allowNetwork(
  { db, clock, projectIdOf, changed }: SettingsDeps,
  actor: Actor,
  { project, cidr, reason }: { readonly project: string; readonly cidr: string; readonly reason: string },
): Promise<{ cidr: string }> {
  requireRole(actor, "owner");
  const network = await canonical(db, cidr);
  const id = await projectIdOf(project);
  const at = clock.now();
  await db.transaction().execute(async (tx) => {
    const set = { reason, actor_name: actor.name, created_at: at };
    await tx
      .insertInto("project_networks")
      .values({ project_id: id, cidr: network, ...set })
      .onConflict((conflict) => conflict.columns(["project_id", "cidr"]).doUpdateSet(set))
      .execute();
    const subject = { type: "project", id };
    await audit(tx, { actor, action: "network.allow", subject, details: { cidr: network, reason }, at });
    await changed(tx);
  });
  return { cidr: network };
}

/** Takes an allowed network away (owner). @throws AppError `not_found`: it was not allowed. */
export async function denyNetwork(
  { db, clock, projectIdOf, changed, allowNetworks }: SettingsDeps,
  actor: Actor,
  { project, cidr }: { readonly project: string; readonly cidr: string },
): Promise<void> {
  requireRole(actor, "owner");
  const network = await canonical(db, cidr);
  const id = await projectIdOf(project);
  const at = clock.now();
  await db.transaction().execute(async (tx) => {
    const { numDeletedRows } = await tx
      .deleteFrom("project_networks")
      .where("project_id", "=", id)
      .where("cidr", "=", network)
      .executeTakeFirst();
    if (numDeletedRows === 0n) {
      const everywhere = allowNetworks.includes(cidr) || allowNetworks.includes(network);
      throw new AppError("not_found", `${network} is not allowed for ${project} by itself.`, {
        hint: everywhere
          ? "It is allowed to every project by SIGNALBOX_ALLOW_NETWORKS of the installation."
          : "`signalbox network list` shows what is allowed.",
      });
    }
    const subject = { type: "project", id };
    await audit(tx, { actor, action: "network.deny", subject, details: { cidr: network }, at });
    await changed(tx);
  });
}

/** One spelling for each network: `10.1.2.3/8` is `10.0.0.0/8`. */
async function canonical(db: Tx<SettingsTables>, cidr: string): Promise<string> {
  const given = cidr.trim();
  parseNetworks([given]);
  if (given.endsWith("/0")) {
    throw new AppError("bad_request", `${given} is every address there is, those of this machine included.`, {
      hint: "Name the networks that your services are in, as 10.20.0.0/16 or 10.20.0.7/32.",
    });
  }
  const { rows } = await sql<{ network: string }>`select network(${given}::inet)::text as network`.execute(
    db,
  );
  return rows[0]?.network ?? given;
}
