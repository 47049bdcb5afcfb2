import { sql } from "kysely";
import type { Tx } from "../foundation/db.ts";
import { messageOf } from "../foundation/errors.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import { type FindSecret, readNetworks, readSecrets, type SettingsTables } from "../settings/index.ts";
import type { Check, Failure } from "./model.ts";
import type { NetworkPolicy } from "./probe-kind.ts";
import { referencesIn, resolveSettings } from "./references.ts";
import { openSettings } from "./sealed-settings.ts";
import type { CheckTables } from "./tables.ts";

/** A check with all that running it needs. `settings` are as they were written, secrets filled in, not yet parsed. */
export type LoadedCheck = Check & {
  readonly shard: number;
  /** What its project may reach. Null: it asks for a release behind our own gateway. */
  readonly network: NetworkPolicy | null;
  /** It cannot be run, and why: each of its rounds is this. Null: it can. */
  readonly problem: Failure | null;
};

export type LoadDeps = {
  readonly db: Tx<CheckTables & SettingsTables>;
  readonly box: Pick<SecretBox, "open">;
  /** SIGNALBOX_ALLOW_NETWORKS: what every project may reach. */
  readonly allowNetworks: readonly string[];
};

/** The checks that are to be run, of all shards or of some, opened and with their secrets. */
export async function listChecks(
  deps: LoadDeps,
  options: {
    readonly shards?: readonly number[] | undefined;
    readonly ids?: readonly string[] | undefined;
    /** Only those that are asked from there: the others' secrets are not opened. */
    readonly location?: string | undefined;
  } = {},
): Promise<LoadedCheck[]> {
  const { shards, ids, location } = options;
  if (shards?.length === 0 || ids?.length === 0) return [];
  const rows = await deps.db
    .selectFrom("checks")
    .selectAll()
    .where("retired_at", "is", null)
    .$if(shards !== undefined, (query) => query.where("shard", "in", shards ?? []))
    .$if(ids !== undefined, (query) => query.where("id", "in", ids ?? []))
    .$if(location !== undefined, (query) => query.where(sql<boolean>`policy -> 'locations' ? ${location}`))
    .orderBy("id")
    .execute();
  const projects = [...new Set(rows.map(({ project_id }) => project_id))];
  const [find, networks] = await Promise.all([readSecrets(deps, projects), readNetworks(deps.db, projects)]);
  return rows.map((row) => {
    const { id, name, type, source, policy, shard, environment, project_id: projectId } = row;
    const opened = open(deps, { ...row, projectId }, find);
    const allowNetworks = [...deps.allowNetworks, ...(networks.get(projectId) ?? [])];
    const network = source === "deployment" && isOwnHost(opened.settings) ? null : { allowNetworks };
    return { id, projectId, environment, name, type, source, policy, shard, network, ...opened };
  });
}

/** One row that does not open must not keep all others from being run. */
function open(
  { box }: Pick<LoadDeps, "box">,
  row: { id: string; projectId: string; environment: string; settings: Buffer },
  find: FindSecret,
): Pick<LoadedCheck, "settings" | "problem"> {
  try {
    const kept = openSettings(box, row.id, row.settings);
    const { settings, missing } = resolveSettings(kept, (name) => find(row, name));
    const { variables } = referencesIn(settings);
    if (variables.length > 0) return { settings, problem: missingVariables(variables) };
    return { settings, problem: missing.length === 0 ? null : missingSecrets(missing) };
  } catch (error) {
    return { settings: null, problem: { class: "unsupported", message: messageOf(error) } };
  }
}

function missingSecrets(names: readonly string[]): Failure {
  const [what, them] = names.length === 1 ? ["The secret", "it"] : ["The secrets", "them"];
  const commands = names.map((name) => `signalbox secret set ${name}`).join("; ");
  const verb = names.length === 1 ? "is" : "are";
  return {
    class: "unsupported",
    message: `${what} ${names.join(", ")} ${verb} not set. Set ${them}: ${commands}.`,
  };
}

function missingVariables(names: readonly string[]): Failure {
  return {
    class: "unsupported",
    message: `Not in the env of the deployed configuration: ${names.join(", ")}. Add it there and deploy.`,
  };
}

/**
 * Our own gateway, which has no public address where it is tried out. Other hosts of a deployment are names that
 * people point where they like.
 */
function isOwnHost(settings: unknown): boolean {
  if (typeof settings !== "object" || settings === null) return false;
  // What is asked by tcp has no URL.
  const { url, host } = settings as { readonly url?: unknown; readonly host?: unknown };
  const name = typeof url === "string" ? URL.parse(url)?.hostname : host;
  return typeof name === "string" && /(^|\.)localhost$/.test(name);
}
