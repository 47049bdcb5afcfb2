import type { Clock } from "../../foundation/clock.ts";
import { AppError } from "../../foundation/errors.ts";
import type { NetworksOf } from "../../foundation/safe-fetch.ts";
import {
  compareHistory,
  type MigrationInput,
  type MigrationResult,
  type Migrator,
  type ParsedMigration,
  parseMigration,
  requirePending,
  type SchemaStatus,
} from "../../schema/index.ts";
import { hideSecrets } from "./hide-secrets.ts";
import { checkDatabaseUrl, type PostgresAddress } from "./postgres-address.ts";
import { type ApplyContext, applyMigration, resetSession } from "./postgres-apply.ts";
import { explain } from "./postgres-errors.ts";
import { ensureHistory, readHistory, readVersion } from "./postgres-history.ts";
import { releaseLock, takeLock } from "./postgres-lock.ts";
import { openSession, type Session } from "./postgres-session.ts";
import { startTimeLimit, type TimeLimit } from "./time-limit.ts";

export type PostgresMigratorDeps = {
  readonly clock: Clock;
  readonly networksOf: NetworksOf;
};

const MAX_LINE_CHARACTERS = 2_000;
/** Of one run. A function that tells about each row would fill the log. */
const MAX_NOTICES = 500;
/** Postgres cuts application names at 63 bytes. */
const MAX_NAME_BYTES = 63;

/** PostgreSQL 14 and later. Needs a connection to the server itself, or a pooler that keeps sessions. */
export function createPostgresMigrator(deps: PostgresMigratorDeps): Migrator {
  return {
    name: "postgres",
    async run(input, signal) {
      const migrations = input.files.map(parseMigration);
      using limit = startTimeLimit(deps.clock, input.timeoutMs, signal);
      // Awaited here: the limit ends with this function.
      return await guarded(deps, input, limit, async (address) => {
        const hide = hideSecrets(address.secrets);
        const say = (line: string) => input.onLine(hide(line).slice(0, MAX_LINE_CHARACTERS));
        const { project, environment, phase, release } = input;
        const applicationName = `signalbox ${phase} ${release} ${project}/${environment}`.slice(
          0,
          MAX_NAME_BYTES,
        );
        const session = { applicationName, signal: limit.signal, onNotice: notices(say) };
        return withSession(deps, address, session, (open) =>
          migrate(deps, input, migrations, { session: open, limit, say, shown: address.shown }),
        );
      });
    },
    async status(input, signal) {
      using limit = startTimeLimit(deps.clock, input.timeoutMs, signal);
      return await guarded(deps, input, limit, (address) => {
        const session = { applicationName: "signalbox status", signal: limit.signal, onNotice: () => {} };
        return withSession(deps, address, session, (open) => compare(open, input.files));
      });
    },
  };
}

/** Whatever goes wrong becomes an AppError without a secret in it. */
async function guarded<T>(
  deps: PostgresMigratorDeps,
  { projectId, databaseUrl }: Pick<MigrationInput, "projectId" | "databaseUrl">,
  limit: TimeLimit,
  work: (address: PostgresAddress) => Promise<T>,
): Promise<T> {
  const address = await checkDatabaseUrl(databaseUrl, await deps.networksOf(projectId));
  try {
    return await work(address);
  } catch (error) {
    const hide = hideSecrets(address.secrets);
    const { code, message, hint, details } = explain(error, limit, null, address.shown);
    // Without its cause: Postgres' own error may quote what must not be shown.
    throw new AppError(code, hide(message), {
      ...(hint === undefined ? {} : { hint: hide(hint) }),
      ...(details === undefined ? {} : { details }),
    });
  }
}

async function withSession<T>(
  deps: PostgresMigratorDeps,
  address: PostgresAddress,
  options: Parameters<typeof openSession>[2],
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(deps, address, options);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

async function migrate(
  deps: PostgresMigratorDeps,
  input: MigrationInput,
  migrations: readonly ParsedMigration[],
  run: Pick<ApplyContext, "session" | "limit" | "say" | "shown">,
): Promise<MigrationResult> {
  const { session, limit, say } = run;
  const { phase, release, lockTimeoutMs } = input;
  const pendingNow = async () =>
    requirePending(compareHistory(await readHistory(session), input.files, phase)).map(({ name }) => name);
  if (session.pooled)
    say("Note: a pooler stands before the database; migrations need one that keeps sessions.");
  // Most deployments change nothing, and need not wait for one that does.
  if ((await pendingNow()).length > 0) {
    await takeLock(deps, session, limit, say);
    await ensureHistory(session);
    const names = await pendingNow();
    say(`${phase}: ${names.length} of ${migrations.length} files to apply`);
    const context = { clock: deps.clock, phase, release, lockTimeoutMs, ...run };
    for (const name of names) {
      const migration = migrations.find(({ file }) => file.name === name);
      if (migration && (await applyMigration(context, migration))) input.onApplied(name);
    }
    await resetSession(session);
    await releaseLock(session);
  } else say(`${phase}: nothing to apply, ${migrations.length} files`);
  const history = await readHistory(session);
  const own = history.filter((one) => one.phase === phase && one.release === release);
  return { applied: own.map(({ name }) => name), version: await readVersion(session) };
}

async function compare(
  session: Session,
  files: Parameters<Migrator["status"]>[0]["files"],
): Promise<SchemaStatus> {
  const applied = await readHistory(session);
  const phases = ["expand", "contract"] as const;
  const compared = phases.map((phase) => ({ phase, ...compareHistory(applied, files[phase], phase) }));
  return {
    applied,
    pending: compared.flatMap(({ phase, pending }) =>
      pending.map(({ name, sha1 }) => ({ name, phase, sha1 })),
    ),
    problems: compared.flatMap(({ problems }) => problems.map(({ message }) => message)),
  };
}

function notices(say: (line: string) => void): (notice: { severity: string; message: string }) => void {
  let count = 0;
  return ({ severity, message }) => {
    count++;
    if (count <= MAX_NOTICES) say(`${severity}: ${message}`);
    if (count === MAX_NOTICES) say("Further notices are left out.");
  };
}
