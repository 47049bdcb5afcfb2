import { sql } from "kysely";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import type { Log } from "../foundation/log.ts";
import { notify } from "../foundation/notify.ts";
import type { Target, TargetLogLine } from "../targets/target.ts";
import { CHANGED_CHANNEL } from "./channels.ts";
import type { EngineTables } from "./tables.ts";

export type FollowDeps = {
  readonly db: Database<EngineTables>;
  readonly clock: Clock;
  readonly log: Log;
  readonly target: Pick<Target, "logs">;
};

/** What is kept of one build's log. More than any reader scrolls; less than what would hurt the database. */
export const MAX_LINES = 20_000;
export const MAX_BYTES = 4 * 2 ** 20;
const MAX_LINE_CHARACTERS = 8_192;

const BATCH_MS = 100;
const BATCH_LINES = 1_000;
const RETRY_MS = 1_000;
const MAX_RETRIES = 60;

type Kept = { lines: number; bytes: number };
type Line = { line: number; at: Date; stream: string; text: string };

/** One service's build, and the deployment that its log belongs to. */
export type BuildLog = {
  readonly id: string;
  readonly service: string;
  readonly targetDeploymentId: string;
};

/**
 * Copies the build logs of a deployment's services into `deployment_logs` until they end. A line is known by its
 * service and its number in the target's log, so going on after a restart, or two copiers at once, makes no
 * duplicate. Never throws.
 */
export async function followLogs(
  deps: FollowDeps,
  id: string,
  builds: readonly Omit<BuildLog, "id">[],
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(builds.map((build) => followOne(deps, { ...build, id }, signal)));
  if (!signal.aborted) await finish(deps, id).catch(() => {});
}

async function followOne(deps: FollowDeps, build: BuildLog, signal: AbortSignal): Promise<void> {
  for (let tries = 0; tries < MAX_RETRIES && !signal.aborted; tries++) {
    try {
      return await copy(deps, build, signal);
    } catch (error) {
      if (signal.aborted) return;
      deps.log.debug({ deployment: build.id, reason: messageOf(error) }, "the build log broke off");
      if (error instanceof AppError && error.code === "not_found") tries = MAX_RETRIES;
      await deps.clock.sleep(RETRY_MS, signal).catch(() => {});
    }
  }
}

async function copy(deps: FollowDeps, build: BuildLog, signal: AbortSignal): Promise<void> {
  const kept = await keptSoFar(deps, build);
  if (isFull(kept)) return;
  const batch = startBatch(deps, build);
  let at = 0;
  try {
    for await (const line of deps.target.logs(build.targetDeploymentId, signal)) {
      at += 1;
      if (at <= kept.lines) continue;
      kept.lines = at;
      kept.bytes += line.text.length;
      if (isFull(kept)) {
        batch.add(at, {
          ...line,
          text: "… the log is longer than what is kept; the rest is at the target.",
        });
        return;
      }
      batch.add(at, line);
      if (batch.size() >= BATCH_LINES) await batch.flush();
    }
  } finally {
    await batch.close();
  }
}

function isFull(kept: Kept): boolean {
  return kept.lines >= MAX_LINES || kept.bytes >= MAX_BYTES;
}

async function keptSoFar({ db }: FollowDeps, { id, service }: BuildLog): Promise<Kept> {
  const row = await db
    .selectFrom("deployment_logs")
    .select((eb) => [eb.fn.max("line").as("lines"), eb.fn.sum<string>(eb.fn("length", ["text"])).as("bytes")])
    .where("deployment_id", "=", id)
    .where("service", "=", service)
    .executeTakeFirst();
  return { lines: row?.lines ?? 0, bytes: Number(row?.bytes ?? 0) };
}

/** Collects lines and writes them together, at the latest `BATCH_MS` after the first of them. */
function startBatch(deps: FollowDeps, build: BuildLog) {
  let lines: Line[] = [];
  let writing = Promise.resolve();
  let failed: unknown = null;
  const timer = new AbortController();

  function flush(): Promise<void> {
    const batch = lines;
    lines = [];
    if (batch.length === 0) return writing;
    writing = writing.then(() => write(deps, build, batch));
    writing.catch((error) => {
      failed = error;
    });
    return writing;
  }

  return {
    size: () => lines.length,
    add(number: number, line: TargetLogLine): void {
      if (failed !== null) throw failed;
      // Postgres stores no NUL in text.
      const text = line.text.replaceAll("\u0000", "\ufffd").slice(0, MAX_LINE_CHARACTERS);
      lines.push({ line: number, at: line.at, stream: line.stream, text });
      if (lines.length === 1)
        deps.clock
          .sleep(BATCH_MS, timer.signal)
          .then(flush, () => {})
          .catch(() => {});
    },
    flush,
    async close(): Promise<void> {
      timer.abort(new Error("closed"));
      await flush();
    },
  };
}

async function write({ db }: FollowDeps, { id, service }: BuildLog, lines: Line[]): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // One copier at a time numbers lines, so that a reader who has seen `seq` has seen all before it.
    await sql`select pg_advisory_xact_lock(hashtextextended(${id}, 0))`.execute(tx);
    const last = await tx
      .selectFrom("deployment_logs")
      .select((eb) => eb.fn.max("seq").as("seq"))
      .where("deployment_id", "=", id)
      .executeTakeFirst();
    const first = (last?.seq ?? 0) + 1;
    await tx
      .insertInto("deployment_logs")
      .values(lines.map((line, index) => ({ ...line, deployment_id: id, service, seq: first + index })))
      .onConflict((conflict) => conflict.columns(["deployment_id", "service", "line"]).doNothing())
      .execute();
    await notify(tx, CHANGED_CHANNEL, id);
  });
}

async function finish({ db }: FollowDeps, id: string): Promise<void> {
  await db.updateTable("deployments").set({ logs_complete: true }).where("id", "=", id).execute();
  await notify(db, CHANGED_CHANNEL, id);
}
