import type { Clock } from "../../foundation/clock.ts";
import type { Log } from "../../foundation/log.ts";
import type { DockDatabase } from "../rows.ts";
import { changed, createFollower, type Follower, offer } from "./follower.ts";

/** One line of a deployment's log. `serial` counts from 1 without a gap. */
export type LogEvent = {
  readonly deploymentId: string;
  readonly serial: number;
  readonly at: Date;
  readonly type: string;
  readonly level: string | null;
  readonly text: string;
};
export type NewEvent = {
  readonly type: string;
  readonly text: string;
  readonly level?: string;
  readonly at?: Date;
};

/**
 * The logs of deployments. Followers get a line in the turn it is appended; rows are written in batches, at most
 * `FLUSH_MS` later, so that a chatty build costs one statement for many lines.
 */
export type EventLog = {
  /** Before the first `append` of this process. */
  open(deploymentId: string): Promise<void>;
  append(deploymentId: string, event: NewEvent): void;
  /** Writes what is left and ends the followers. */
  end(deploymentId: string): Promise<void>;
  /** The lines after `after`, oldest first, at most `limit`. */
  read(deploymentId: string, after: number, limit: number): Promise<LogEvent[]>;
  /** The lines from the first one on, until the deployment ends or `signal` aborts. */
  follow(deploymentId: string, signal: AbortSignal): AsyncGenerator<LogEvent>;
  flush(): Promise<void>;
};

const FLUSH_MS = 50;
const PAGE = 2_000;
/** Of one deployment's log. A build that prints more has gone wrong, and its end is what matters least. */
const MOST_CHARACTERS = 64 * 2 ** 20;

type OpenLog = { serial: number; characters: number; readonly followers: Set<Follower> };
type Deps = { readonly db: DockDatabase; readonly clock: Clock; readonly log: Log };
type Journal = {
  readonly deps: Deps;
  readonly logs: Map<string, OpenLog>;
  pending: LogEvent[];
  timer: NodeJS.Timeout | null;
  writing: Promise<void>;
};

export function createEventLog(deps: Deps): EventLog {
  const journal: Journal = { deps, logs: new Map(), pending: [], timer: null, writing: Promise.resolve() };
  return {
    flush: () => flush(journal),
    read: (deploymentId, after, limit) => read(deps.db, deploymentId, after, limit),
    open: (deploymentId) => open(journal, deploymentId),
    append: (deploymentId, event) => append(journal, deploymentId, event),
    follow: (deploymentId, signal) => follow(journal, deploymentId, signal),
    async end(deploymentId) {
      await flush(journal);
      const log = journal.logs.get(deploymentId);
      journal.logs.delete(deploymentId);
      for (const follower of log?.followers ?? []) {
        follower.ended = true;
        follower.wake();
      }
    },
  };
}

async function open({ deps, logs }: Journal, deploymentId: string): Promise<void> {
  const row = await deps.db
    .selectFrom("deployment_events")
    .select((eb) => eb.fn.max("serial").as("serial"))
    .where("deployment_id", "=", deploymentId)
    .executeTakeFirst();
  if (logs.has(deploymentId)) return;
  logs.set(deploymentId, { serial: row?.serial ?? 0, characters: 0, followers: new Set() });
}

function append(journal: Journal, deploymentId: string, { type, text, level, at }: NewEvent): void {
  const log = journal.logs.get(deploymentId);
  if (!log || log.characters > MOST_CHARACTERS) return;
  log.characters += text.length + 1;
  log.serial += 1;
  const cut = log.characters > MOST_CHARACTERS;
  const event: LogEvent = {
    deploymentId,
    serial: log.serial,
    at: at ?? journal.deps.clock.now(),
    type,
    level: level ?? null,
    text: cut ? "The log is longer than 64 MiB; the rest of it is not kept." : text,
  };
  journal.pending.push(event);
  journal.timer ??= setTimeout(() => void flush(journal), FLUSH_MS);
  for (const follower of log.followers) offer(follower, event);
}

function flush(journal: Journal): Promise<void> {
  if (journal.timer) clearTimeout(journal.timer);
  journal.timer = null;
  const batch = journal.pending;
  journal.pending = [];
  if (batch.length > 0) journal.writing = journal.writing.then(() => write(journal.deps, batch));
  return journal.writing;
}

async function write({ db, log }: Deps, batch: readonly LogEvent[]): Promise<void> {
  for (let start = 0; start < batch.length; start += PAGE) {
    const rows = batch.slice(start, start + PAGE).map((event) => ({
      deployment_id: event.deploymentId,
      serial: event.serial,
      at: event.at,
      type: event.type,
      level: event.level,
      // Postgres text holds no NUL.
      text: event.text.replaceAll("\0", "\uFFFD"),
    }));
    try {
      await db
        .insertInto("deployment_events")
        .values(rows)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    } catch (error) {
      log.error({ err: error, lines: rows.length }, "lines of a build log could not be stored");
    }
  }
}

async function read(
  db: DockDatabase,
  deploymentId: string,
  after: number,
  limit: number,
): Promise<LogEvent[]> {
  const rows = await db
    .selectFrom("deployment_events")
    .selectAll()
    .where("deployment_id", "=", deploymentId)
    .where("serial", ">", after)
    .orderBy("serial")
    .limit(limit)
    .execute();
  return rows.map(({ deployment_id, ...row }) => ({ deploymentId: deployment_id, ...row }));
}

async function* stored(journal: Journal, deploymentId: string, after: number): AsyncGenerator<LogEvent> {
  await flush(journal);
  let last = after;
  for (;;) {
    const page = await read(journal.deps.db, deploymentId, last, PAGE);
    yield* page;
    last = page.at(-1)?.serial ?? last;
    if (page.length < PAGE) return;
  }
}

async function* follow(
  journal: Journal,
  deploymentId: string,
  signal: AbortSignal,
): AsyncGenerator<LogEvent> {
  const log = journal.logs.get(deploymentId);
  const follower = createFollower({ ended: log === undefined });
  log?.followers.add(follower);
  const onAbort = () => follower.wake();
  signal.addEventListener("abort", onAbort);
  let last = 0;
  try {
    while (!signal.aborted) {
      const { ended } = follower;
      if (follower.behind) {
        follower.behind = false;
        for await (const event of stored(journal, deploymentId, last)) {
          last = event.serial;
          yield event;
        }
        // The queue overflowed meanwhile: what it holds now is newer than what was dropped.
        if (follower.behind) continue;
      }
      for (const event of follower.queue.splice(0)) {
        if (event.serial <= last) continue;
        last = event.serial;
        yield event;
      }
      if (follower.behind || follower.queue.length > 0) continue;
      if (ended) return;
      await changed(follower, signal);
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    log?.followers.delete(follower);
  }
}
