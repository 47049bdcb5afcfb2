import type { Clock } from "../../foundation/clock.ts";
import type { Log } from "../../foundation/log.ts";
import type { DockDatabase } from "../rows.ts";

/** One line of a deployment's log. `serial` counts from 1 without a gap. */
export type LogEvent = {
  readonly deploymentId: string;
  readonly serial: number;
  readonly at: Date;
  readonly type: string;
  readonly level: string | null;
  readonly text: string;
};

/**
 * The logs of deployments. Followers get a line in the turn it is appended; rows are written in batches, at most
 * `FLUSH_MS` later, so that a chatty build costs one statement for many lines.
 */
export type EventLog = {
  /** Before the first `append` of this process. */
  open(deploymentId: string): Promise<void>;
  append(deploymentId: string, event: { type: string; text: string; level?: string; at?: Date }): void;
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
/** A follower that reads slower than the build writes catches up from the rows instead of filling the memory. */
const MOST_QUEUED = 5_000;
/** Of one deployment's log. A build that prints more has gone wrong, and its end is what matters least. */
const MOST_CHARACTERS = 64 * 2 ** 20;

type OpenLog = { serial: number; characters: number; followers: Set<Follower> };
type Follower = { queue: LogEvent[]; behind: boolean; ended: boolean; wake: () => void };

export function createEventLog(deps: { db: DockDatabase; clock: Clock; log: Log }): EventLog {
  const logs = new Map<string, OpenLog>();
  let pending: LogEvent[] = [];
  let timer: NodeJS.Timeout | null = null;
  let writing: Promise<void> = Promise.resolve();

  function flush(): Promise<void> {
    if (timer) clearTimeout(timer);
    timer = null;
    const batch = pending;
    pending = [];
    if (batch.length > 0) writing = writing.then(() => write(batch));
    return writing;
  }

  async function write(batch: readonly LogEvent[]): Promise<void> {
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
        await deps.db
          .insertInto("deployment_events")
          .values(rows)
          .onConflict((c) => c.doNothing())
          .execute();
      } catch (error) {
        deps.log.error({ err: error, lines: rows.length }, "lines of a build log could not be stored");
      }
    }
  }

  async function read(deploymentId: string, after: number, limit: number): Promise<LogEvent[]> {
    const rows = await deps.db
      .selectFrom("deployment_events")
      .selectAll()
      .where("deployment_id", "=", deploymentId)
      .where("serial", ">", after)
      .orderBy("serial")
      .limit(limit)
      .execute();
    return rows.map(({ deployment_id, ...row }) => ({ deploymentId: deployment_id, ...row }));
  }

  async function* stored(deploymentId: string, after: number): AsyncGenerator<LogEvent> {
    await flush();
    let last = after;
    for (;;) {
      const page = await read(deploymentId, last, PAGE);
      yield* page;
      last = page.at(-1)?.serial ?? last;
      if (page.length < PAGE) return;
    }
  }

  return {
    flush,
    read,

    async open(deploymentId) {
      const row = await deps.db
        .selectFrom("deployment_events")
        .select((eb) => eb.fn.max("serial").as("serial"))
        .where("deployment_id", "=", deploymentId)
        .executeTakeFirst();
      if (logs.has(deploymentId)) return;
      logs.set(deploymentId, { serial: row?.serial ?? 0, characters: 0, followers: new Set() });
    },

    append(deploymentId, { type, text, level, at }) {
      const open = logs.get(deploymentId);
      if (!open || open.characters > MOST_CHARACTERS) return;
      open.characters += text.length + 1;
      const cut = open.characters > MOST_CHARACTERS;
      open.serial += 1;
      const event: LogEvent = {
        deploymentId,
        serial: open.serial,
        at: at ?? deps.clock.now(),
        type,
        level: level ?? null,
        text: cut ? "The log is longer than 64 MiB; the rest of it is not kept." : text,
      };
      pending.push(event);
      timer ??= setTimeout(() => void flush(), FLUSH_MS);
      for (const follower of open.followers) offer(follower, event);
    },

    async end(deploymentId) {
      await flush();
      const open = logs.get(deploymentId);
      logs.delete(deploymentId);
      for (const follower of open?.followers ?? []) {
        follower.ended = true;
        follower.wake();
      }
    },

    async *follow(deploymentId, signal) {
      const open = logs.get(deploymentId);
      const follower: Follower = { queue: [], behind: true, ended: open === undefined, wake: () => {} };
      open?.followers.add(follower);
      const onAbort = () => follower.wake();
      signal.addEventListener("abort", onAbort);
      let last = 0;
      try {
        while (!signal.aborted) {
          const { ended } = follower;
          if (follower.behind) {
            follower.behind = false;
            for await (const event of stored(deploymentId, last)) {
              last = event.serial;
              yield event;
            }
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
        open?.followers.delete(follower);
      }
    },
  };
}

function offer(follower: Follower, event: LogEvent): void {
  if (follower.queue.length >= MOST_QUEUED) {
    follower.queue = [];
    follower.behind = true;
  }
  if (!follower.behind) follower.queue.push(event);
  follower.wake();
}

/** Resolves at once when something came between the look at the queue and this call. */
function changed(follower: Follower, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    follower.wake = resolve;
    if (follower.queue.length > 0 || follower.ended || follower.behind || signal.aborted) resolve();
  });
}
