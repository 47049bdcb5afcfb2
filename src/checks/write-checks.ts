import { sql } from "kysely";
import { audit, systemActor } from "../access/index.ts";
import type { Tx } from "../foundation/db.ts";
import type { Ids } from "../foundation/ids.ts";
import { notify } from "../foundation/notify.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import { CHECKS_CHANNEL } from "./channels.ts";
import { type CheckRules, scheduleOf } from "./check-rules.ts";
import { placeHeartbeat } from "./heartbeats/place.ts";
import type { HeartbeatTables } from "./heartbeats/tables.ts";
import type { CheckSource, Policy, ProbeType } from "./model.ts";
import { sealSettings } from "./sealed-settings.ts";
import { shardOf } from "./shard.ts";
import type { CheckTables } from "./tables.ts";

export type WriteDeps = {
  readonly tx: Tx<CheckTables & HeartbeatTables>;
  readonly box: Pick<SecretBox, "seal">;
  readonly checkRules: CheckRules;
};

export type NewCheck = {
  readonly projectId: string;
  readonly environment: string;
  readonly name: string;
  readonly type: ProbeType;
  readonly source: CheckSource;
  readonly subject: string;
  readonly settings: unknown;
  readonly policy: Policy;
  readonly deploymentId: string | null;
};

export async function insertCheck(
  deps: WriteDeps & { readonly ids: Ids },
  check: NewCheck,
  at: Date,
): Promise<string> {
  const id = deps.ids("chk");
  await deps.tx
    .insertInto("checks")
    .values({
      id,
      project_id: check.projectId,
      environment: check.environment,
      name: check.name,
      type: check.type,
      source: check.source,
      subject: check.subject,
      settings: sealSettings(deps.box, id, check.settings),
      policy: JSON.stringify(check.policy),
      deployment_id: check.deploymentId,
      shard: shardOf(id),
      created_at: at,
      updated_at: at,
      retired_at: null,
    })
    .execute();
  await placeIfHeard(deps, { ...check, id }, at);
  return id;
}

/** What calls us has to be known to whoever takes the call. */
async function placeIfHeard(
  { tx, checkRules }: WriteDeps,
  { id, type, settings }: Pick<NewCheck, "type" | "settings"> & { readonly id: string },
  at: Date,
): Promise<void> {
  const schedule = scheduleOf(checkRules, type, settings);
  if (schedule !== null) await placeHeartbeat(tx, id, schedule, at);
}

export async function changeCheck(
  deps: WriteDeps,
  id: string,
  change: Pick<NewCheck, "type" | "subject" | "settings" | "policy" | "source">,
  at: Date,
): Promise<void> {
  await deps.tx
    .updateTable("checks")
    .set({
      source: change.source,
      subject: change.subject,
      settings: sealSettings(deps.box, id, change.settings),
      policy: JSON.stringify(change.policy),
      updated_at: at,
    })
    .where("id", "=", id)
    .execute();
  await placeIfHeard(deps, { ...change, id }, at);
  // Other places may have a say, and what they said may hold for another time: the next sweep looks.
  await sql`update check_states set judge_at = least(judge_at, ${at}) where check_id = ${id}`.execute(
    deps.tx,
  );
}

/** Its history stays; nobody looks any more. */
export async function retireChecks(tx: Tx<CheckTables>, ids: readonly string[], at: Date): Promise<void> {
  if (ids.length === 0) return;
  await tx.updateTable("checks").set({ retired_at: at, updated_at: at }).where("id", "in", ids).execute();
}

/** What following a deployment has changed, by names, on record; and the probers are told. */
export async function recordSync(
  tx: Tx<CheckTables>,
  { projectId, deploymentId }: { readonly projectId: string; readonly deploymentId: string | null },
  names: { readonly made: string[]; readonly changed: string[]; readonly retired: string[] },
  at: Date,
): Promise<void> {
  if (Object.values(names).every((list) => list.length === 0)) return;
  const subject = { type: "project", id: projectId };
  const details = { deploymentId, ...names };
  await audit(tx, { actor: systemActor("checks"), action: "check.sync", subject, details, at });
  await notify(tx, CHECKS_CHANNEL, "");
}
