import { type QueryExecutorProvider, sql } from "kysely";
import pg from "pg";
import type { Clock } from "./clock.ts";
import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

export type Notifier = {
  /**
   * Calls `handler` with each payload on `channel`, and `onReconnect` after the connection had been lost: whatever was
   * said meanwhile is gone, so look for yourself. Returns the end of the subscription.
   */
  listen(channel: string, handler: (payload: string) => void, onReconnect?: () => void): () => void;
  close(): Promise<void>;
};

/** Says `payload` (at most 8,000 bytes) on `channel`; inside a transaction, when it commits. */
export async function notify(db: QueryExecutorProvider, channel: string, payload: string): Promise<void> {
  await sql`select pg_notify(${channel}, ${payload})`.execute(db);
}

type Subscription = {
  channel: string;
  handler: (payload: string) => void;
  onReconnect: (() => void) | undefined;
};

const RECONNECT_MS = 250;

/**
 * One connection of its own that LISTENs on the channels given, and comes back by itself. Not through a pooler in
 * transaction mode, which does not carry LISTEN.
 */
export async function startNotifier(deps: {
  databaseUrl: string;
  channels: readonly string[];
  clock: Clock;
  log: Log;
}): Promise<Notifier> {
  const subscriptions = new Set<Subscription>();
  const stop = new AbortController();
  let client = await connect(deps, subscriptions, onLost);

  function onLost(): void {
    if (!stop.signal.aborted) void reconnect();
  }

  async function reconnect(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await deps.clock.sleep(RECONNECT_MS, stop.signal);
        client = await connect(deps, subscriptions, onLost);
        for (const each of subscriptions) each.onReconnect?.();
        return;
      } catch (error) {
        if (!stop.signal.aborted)
          deps.log.warn({ reason: messageOf(error) }, "cannot listen to the database yet");
      }
    }
  }

  return {
    listen(channel, handler, onReconnect) {
      const subscription = { channel, handler, onReconnect };
      subscriptions.add(subscription);
      return () => subscriptions.delete(subscription);
    },
    async close() {
      stop.abort();
      await client.end().catch(() => {});
    },
  };
}

async function connect(
  deps: { databaseUrl: string; channels: readonly string[]; log: Log },
  subscriptions: ReadonlySet<Subscription>,
  onLost: () => void,
): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: deps.databaseUrl,
    application_name: "signalbox-listen",
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  let lost = false;
  const lose = () => {
    if (lost) return;
    lost = true;
    onLost();
  };
  client.on("notification", ({ channel, payload }) => {
    for (const each of subscriptions) if (each.channel === channel) each.handler(payload ?? "");
  });
  client.on("error", () => {});
  await client.connect();
  for (const channel of deps.channels) await client.query(`listen ${client.escapeIdentifier(channel)}`);
  client.on("end", lose);
  client.on("error", lose);
  return client;
}
