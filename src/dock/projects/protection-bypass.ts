import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import { AppError } from "../../foundation/errors.ts";
import { randomText } from "../../foundation/ids.ts";
import type { Dock } from "../dock.ts";
import type { DockTables, DockTx } from "../rows.ts";
import { settingsChange } from "./change-project.ts";
import type { Project } from "./queries.ts";

export type BypassChange = {
  readonly revoke?: { readonly secret: string; readonly regenerate: boolean } | undefined;
  readonly generate?:
    | { readonly secret?: string | undefined; readonly note?: string | undefined }
    | undefined;
  readonly update?:
    | { readonly secret: string; readonly isEnvVar?: boolean | undefined; readonly note?: string | undefined }
    | undefined;
};

type Row = Selectable<DockTables["bypass_secrets"]>;

const MOST_SECRETS = 10;

/** Secrets that open the project's protected hosts: Vercel's API shows them to whoever may change them. */
export async function bypassSecrets(
  dock: Pick<Dock, "db" | "secrets">,
  projectId: string,
): Promise<{ secret: string; note: string | null; isEnvVar: boolean; createdAt: Date }[]> {
  return (await rowsOf(dock.db, projectId)).map((row) => ({
    secret: dock.secrets.open(row.sealed, row.id),
    note: row.note,
    isEnvVar: row.is_env,
    createdAt: row.created_at,
  }));
}

/** The value of `VERCEL_AUTOMATION_BYPASS_SECRET` in new deployments, or null. */
export async function bypassVariable(
  dock: Pick<Dock, "db" | "secrets">,
  projectId: string,
): Promise<string | null> {
  return (await bypassSecrets(dock, projectId)).find((one) => one.isEnvVar)?.secret ?? null;
}

/** Resolves once the gateway knows. @throws AppError `not_found` for a secret that is none of the project's. */
export async function changeBypass(dock: Dock, project: Project, change: BypassChange): Promise<void> {
  const rows = await rowsOf(dock.db, project.id);
  const find = (secret: string) => {
    const found = rows.find((row) => row.hash === hashOf(secret));
    if (found) return found;
    throw new AppError("not_found", `The project "${project.name}" has no such bypass secret.`);
  };
  const revoked = change.revoke && find(change.revoke.secret);
  const updated = change.update && find(change.update.secret);
  const asked = change.generate ?? (change.revoke?.regenerate ? { note: revoked?.note ?? undefined } : null);
  const kept = rows.filter((row) => row !== revoked);
  if (asked && kept.length >= MOST_SECRETS) {
    throw new AppError("bad_request", `The project has ${MOST_SECRETS} bypass secrets already.`, {
      hint: "Revoke one first.",
    });
  }
  const isFirst = !kept.some((row) => row.is_env);
  const made = asked ? newRow(dock, project, asked, isFirst) : null;
  const bypass = [...kept, ...(made ? [made] : [])].map((row) => row.hash);
  const generation = await dock.traffic.change((state) => ({
    ...settingsChange(state, project, { bypass }),
    write: async (tx) => {
      if (revoked) await tx.deleteFrom("bypass_secrets").where("id", "=", revoked.id).execute();
      if (made) await tx.insertInto("bypass_secrets").values(made).execute();
      if (updated && change.update) await writeUpdate(tx, project, updated, change.update);
    },
  }));
  await dock.publisher.served(generation);
}

function newRow(
  dock: Dock,
  project: Project,
  asked: { secret?: string | undefined; note?: string | undefined },
  isEnv: boolean,
): Row {
  const id = dock.ids("byp");
  const secret = asked.secret ?? randomText(32);
  return {
    id,
    project_id: project.id,
    hash: hashOf(secret),
    sealed: dock.secrets.seal(secret, id),
    note: asked.note ?? null,
    is_env: isEnv,
    created_at: dock.clock.now(),
  };
}

/** One secret at most is the variable. */
async function writeUpdate(
  tx: DockTx,
  project: Project,
  row: Row,
  update: NonNullable<BypassChange["update"]>,
): Promise<void> {
  if (update.isEnvVar === true) {
    await tx
      .updateTable("bypass_secrets")
      .set({ is_env: false })
      .where("project_id", "=", project.id)
      .execute();
  }
  await tx
    .updateTable("bypass_secrets")
    .set({ is_env: update.isEnvVar ?? row.is_env, note: update.note ?? row.note })
    .where("id", "=", row.id)
    .execute();
}

function rowsOf(db: DockTx, projectId: string): Promise<Row[]> {
  return db
    .selectFrom("bypass_secrets")
    .selectAll()
    .where("project_id", "=", projectId)
    .orderBy("created_at")
    .orderBy("id")
    .execute();
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
