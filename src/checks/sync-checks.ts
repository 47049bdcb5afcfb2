import type { Clock } from "../foundation/clock.ts";
import type { Database, Tx } from "../foundation/db.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import type { Ids } from "../foundation/ids.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import { type FindSecret, readSecrets, type SettingsTables } from "../settings/index.ts";
import { type CheckRules, subjectOf } from "./check-rules.ts";
import type { HeartbeatTables } from "./heartbeats/tables.ts";
import type { ProbeType } from "./model.ts";
import { type Existing, planSync, type SyncPlan } from "./plan-sync.ts";
import { fillVariables, resolveSettings } from "./references.ts";
import { openSettings } from "./sealed-settings.ts";
import {
  besides,
  type ChecksPlan,
  deployedChecks,
  type Gap,
  overlay,
  usedChecks,
  type WantedCheck,
} from "./seeds.ts";
import { checksAround, holdChecks, type LiveDeployment } from "./sync-queries.ts";
import type { CheckTables } from "./tables.ts";
import { changeCheck, insertCheck, recordSync, retireChecks } from "./write-checks.ts";

/** Port: what the configuration of a deployment's own commit says of its checks. @throws where it cannot be read. */
export type ReadChecks = (deployment: LiveDeployment, signal: AbortSignal) => Promise<ChecksPlan>;

export type SyncDeps = {
  readonly db: Database<CheckTables & HeartbeatTables & SettingsTables>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly box: SecretBox;
  readonly rules: CheckRules;
  readonly readChecks: ReadChecks;
};

/** Changes whenever seeds or the reading of configurations change, so that what is live is read again. */
const VERSION = 2;

export function rulesKey({ kinds, allowLocal }: CheckRules): string {
  return `${VERSION} ${allowLocal ? "local " : ""}${[...kinds.keys()].sort().join(" ")}`;
}

/**
 * Makes the checks of a place those of the deployment that is live there. Where its configuration cannot be read, the
 * services are checked all the same, and everything else stays as it was.
 */
export async function syncChecks(deps: SyncDeps, live: LiveDeployment, signal: AbortSignal): Promise<void> {
  const preview = live.environment === "preview" ? live.slot.replace(/^preview:/, "") : null;
  const deployed = deployedChecks(live.services, preview);
  const unmet = live.services.filter(({ urls }) => urls.length === 0).map(noAddress);
  const read = await readPlan(deps, live, signal);
  if ("failure" in read) {
    await write(deps, live, { wanted: deployed, gaps: unmet, failure: read.failure });
    return;
  }
  const { configured, uses, env } = read.plan;
  const used = usedChecks(uses, env);
  const wanted = overlay([...deployed, ...besides(deployed, used.checks)], configured);
  const filled = wanted.map((check) => ({ ...check, settings: asRow(fillVariables(check.settings, env)) }));
  const gaps = [...unmet, ...used.gaps].filter(({ subject }) => !Object.hasOwn(configured, subject));
  await write(deps, live, { wanted: filled, gaps, failure: null });
}

async function readPlan(
  deps: SyncDeps,
  live: LiveDeployment,
  signal: AbortSignal,
): Promise<{ plan: ChecksPlan } | { failure: string }> {
  try {
    return { plan: await deps.readChecks(live, signal) };
  } catch (error) {
    if (signal.aborted) throw error;
    // Anything but an AppError may have a line of the file in it, and so a secret.
    return { failure: error instanceof AppError ? messageOf(error) : "it could not be read" };
  }
}

type Outcome = {
  readonly wanted: readonly WantedCheck[];
  readonly gaps: Gap[];
  readonly failure: string | null;
};

async function write(deps: SyncDeps, live: LiveDeployment, outcome: Outcome): Promise<void> {
  const { db, clock } = deps;
  const at = clock.now();
  const find = await readSecrets(deps, [live.projectId]);
  await db.transaction().execute(async (tx) => {
    await holdChecks(tx, live.projectId);
    const rows = await checksAround(tx, live);
    const existing = rows.map((row) => ({ ...row, settings: tryOpen(deps, row.id, row.settings) }));
    const plan = planSync(outcome.wanted, existing);
    // A configuration that was not read has not said that anything is to go.
    const isUnread = ({ source }: Existing) => outcome.failure !== null && source === "config";
    const retire = plan.retire.filter((check) => !isUnread(check));
    const kept = plan.retire.filter(isUnread).map(({ name }) => name);
    const make = plan.make.filter(({ name }) => !kept.includes(name));
    await retireChecks(tx, idsOf(retire), at);
    const writing = { ...deps, tx, checkRules: deps.rules };
    for (const check of make) {
      const row = { ...check, ...live, deploymentId: live.id, name: check.name, source: check.source };
      const subject = subjectFor(deps, live, check, find);
      await insertCheck(writing, { ...row, subject }, at);
    }
    for (const check of plan.change)
      await changeCheck(writing, check.id, { ...check, subject: subjectFor(deps, live, check, find) }, at);
    await follow(tx, live, rows);
    await remember(tx, deps, live, { ...outcome, gaps: [...outcome.gaps, ...taken(plan)] }, at);
    const names = (checks: readonly { name: string }[]) => checks.map(({ name }) => name);
    const record = { made: names(make), changed: names(plan.change), retired: names(retire) };
    await recordSync(tx, { projectId: live.projectId, deploymentId: live.id }, record, at);
  });
}

/** That a check follows a newer deployment is no change of the check. */
async function follow(
  tx: Tx<CheckTables>,
  live: LiveDeployment,
  rows: readonly { id: string; source: string }[],
): Promise<void> {
  const ids = rows.filter(({ source }) => source !== "api").map(({ id }) => id);
  if (ids.length === 0) return;
  await tx
    .updateTable("checks")
    .set({ deployment_id: live.id })
    .where("id", "in", ids)
    .where("retired_at", "is", null)
    .where("deployment_id", "<>", live.id)
    .execute();
}

async function remember(
  tx: Tx<CheckTables>,
  { rules }: SyncDeps,
  live: LiveDeployment,
  { gaps, failure }: Outcome,
  at: Date,
): Promise<void> {
  const row = {
    deployment_id: live.id,
    rules: rulesKey(rules),
    synced_at: at,
    gaps: JSON.stringify(gaps),
    failure,
    failed_at: failure === null ? null : at,
  };
  await tx
    .insertInto("check_syncs")
    .values({ project_id: live.projectId, slot: live.slot, ...row })
    .onConflict((conflict) => conflict.columns(["project_id", "slot"]).doUpdateSet(row))
    .execute();
}

/** Nothing serves there any more: nothing is checked there any more. */
export async function retirePlace(
  { db, clock }: Pick<SyncDeps, "db" | "clock">,
  place: { readonly projectId: string; readonly slot: string },
): Promise<void> {
  const at = clock.now();
  await db.transaction().execute(async (tx) => {
    await holdChecks(tx, place.projectId);
    const retired = await checksAround(tx, { ...place, environment: null });
    await retireChecks(tx, idsOf(retired), at);
    await tx
      .deleteFrom("check_syncs")
      .where("project_id", "=", place.projectId)
      .where("slot", "=", place.slot)
      .execute();
    const names = { made: [], changed: [], retired: retired.map(({ name }) => name) };
    await recordSync(tx, { projectId: place.projectId, deploymentId: null }, names, at);
  });
}

/** With the secrets that are set now; without them what kind of check it is, and whose address it will be. */
function subjectFor(
  { rules }: SyncDeps,
  { projectId, environment }: LiveDeployment,
  { type, settings }: { readonly type: ProbeType; readonly settings: unknown },
  find: FindSecret,
): string {
  const resolved = resolveSettings(settings, (name) => find({ projectId, environment }, name));
  return subjectOf(rules, type, resolved) ?? type;
}

function tryOpen({ box }: SyncDeps, id: string, sealed: Buffer): unknown {
  try {
    return openSettings(box, id, sealed);
  } catch {
    // Sealed with another key: never equal to what is wanted, and so sealed anew.
    return undefined;
  }
}

function taken({ taken: checks }: SyncPlan): Gap[] {
  return checks.map(({ name }) => ({
    subject: name,
    why: `a check that was made by hand has the name ${name}`,
    hint: "Give that one another name, so that there is room for the one of the configuration.",
  }));
}

function noAddress({ name }: { readonly name: string }): Gap {
  return {
    subject: name,
    why: "the service has no public address",
    hint: "Deploy it again; if that does not help, look at its domains at the target.",
  };
}

function idsOf(checks: readonly { readonly id: string }[]): string[] {
  return checks.map(({ id }) => id);
}

function asRow(settings: unknown): Readonly<Record<string, unknown>> {
  return settings as Readonly<Record<string, unknown>>;
}
