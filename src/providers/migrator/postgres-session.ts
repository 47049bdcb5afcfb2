import type { ConnectionOptions } from "node:tls";
import pg from "pg";
import type { Clock } from "../../foundation/clock.ts";
import { messageOf } from "../../foundation/errors.ts";
import type { PostgresAddress } from "./postgres-address.ts";
import { sqlState } from "./postgres-errors.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** A cancel request can arrive before the statement that it is meant for; it is repeated until that has ended. */
const CANCEL_AGAIN_MS = 250;
/** So long the server has to end a statement; then its process is ended, and with it the connection. */
const CANCEL_GRACE_MS = 5_000;
const CLOSE_MS = 2_000;

export type Executed = { readonly command: string | null; readonly rows: number | null };

/** One connection. When its signal fires, what it runs is canceled on the server, and it runs nothing more. */
export type Session = {
  /** The server's process of it. */
  readonly pid: number;
  /** Another process answers than the one that was connected to: something stands between. */
  readonly pooled: boolean;
  /** A statement of ours; several without values are possible. */
  query<R extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<R[]>;
  /** A statement of a file. The rows that it returns are counted, and not kept. */
  execute(text: string): Promise<Executed>;
  close(): Promise<void>;
};

export type SessionOptions = {
  readonly applicationName: string;
  readonly signal: AbortSignal;
  readonly onNotice: (notice: { severity: string; message: string }) => void;
};

/** @throws the error of Postgres or of the network. */
export async function openSession(
  deps: { clock: Clock },
  address: PostgresAddress,
  options: SessionOptions,
): Promise<Session> {
  const { signal } = options;
  signal.throwIfAborted();
  const client = await connect(address, options.applicationName);
  client.on("notice", ({ severity, message }) =>
    options.onNotice({ severity: severity ?? "NOTICE", message: message ?? "" }),
  );
  const pid = await backendOf(client);
  const closed = new AbortController();
  let running: Promise<unknown> | null = null;
  const track = async <T>(start: () => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    const work = start();
    running = work;
    try {
      return await work;
    } finally {
      running = null;
    }
  };
  const stop = () => {
    if (running === null) return;
    const ended = running.then(
      () => {},
      () => {},
    );
    void cancel(deps.clock, address, pid, ended, closed.signal).finally(() => client.end());
  };
  signal.addEventListener("abort", stop, { once: true });
  return {
    pid,
    pooled: (client as pg.Client & { processID?: number }).processID !== pid,
    query: (text, values) => track(async () => (await client.query(text, [...(values ?? [])])).rows),
    execute: (text) => track(() => execute(client, text)),
    close: async () => {
      signal.removeEventListener("abort", stop);
      closed.abort();
      // A network that swallows everything would let this wait for ever.
      const waited = new AbortController();
      const giveUp = deps.clock.sleep(CLOSE_MS, waited.signal).catch(() => {});
      await Promise.race([client.end(), giveUp]);
      waited.abort();
    },
  };
}

async function backendOf(client: pg.Client): Promise<number> {
  try {
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    return rows[0]?.pid ?? 0;
  } catch (error) {
    await client.end();
    throw error;
  }
}

/** Tries each address, encrypted or not as the URL says. */
async function connect(address: PostgresAddress, applicationName: string): Promise<pg.Client> {
  let failure: unknown;
  for (const host of address.addresses) {
    for (const tls of address.tls) {
      const client = createClient(address, host, tls, applicationName);
      try {
        await client.connect();
        return client;
      } catch (error) {
        failure = error;
        await client.end().catch(() => {});
        // Without encryption only where the server has none: a login that it refused is not tried in the open.
        if (!/does not support SSL/.test(messageOf(error))) break;
      }
    }
    // The server answered; another address of it would answer the same.
    if (sqlState(failure) !== null) break;
  }
  throw failure;
}

function createClient(
  address: PostgresAddress,
  host: string,
  tls: ConnectionOptions | false,
  applicationName: string,
): pg.Client {
  const client = new pg.Client({
    host,
    port: address.port,
    user: address.user,
    database: address.database,
    // A function, because `pg` would take PGPASSWORD or ~/.pgpass, which are not the app's, for an empty string.
    password: () => address.password,
    ssl: tls,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    ...(address.options === null ? {} : { options: address.options }),
  });
  // Whoever waits for a query hears of it there.
  client.on("error", () => {});
  return client;
}

function execute(client: pg.Client, text: string): Promise<Executed> {
  return new Promise((resolve, reject) => {
    const query = new pg.Query(text);
    query.on("row", () => {});
    query.on("error", (error) => {
      // Postgres tells the error before it has ended the statement; whoever hears of it may rely on the end.
      if (sqlState(error) === null) return reject(error);
      const settle = () => {
        client.off("drain", settle).off("end", settle);
        reject(error);
      };
      client.on("drain", settle).on("end", settle);
    });
    query.on("end", (result) => resolve({ command: result.command ?? null, rows: result.rowCount }));
    client.query(query);
  });
}

/**
 * Ends what `pid` runs, over a second connection: `pg_cancel_backend` until it has ended, after the grace
 * `pg_terminate_backend`. Should even that be impossible, the server sees by itself that we hung up
 * (`client_connection_check_interval`), or that the statement's time is over.
 */
async function cancel(
  clock: Clock,
  address: PostgresAddress,
  pid: number,
  ended: Promise<void>,
  closed: AbortSignal,
): Promise<void> {
  const state = { ended: false };
  const end = ended.then(() => {
    state.ended = true;
  });
  const client = await connect(address, "signalbox cancel").catch(() => null);
  const deadline = clock.monotonicMs() + CANCEL_GRACE_MS;
  try {
    while (!state.ended && !closed.aborted && clock.monotonicMs() < deadline) {
      await client?.query("select pg_cancel_backend($1)", [pid]);
      await Promise.race([end, clock.sleep(CANCEL_AGAIN_MS)]);
    }
    if (!state.ended && !closed.aborted) await client?.query("select pg_terminate_backend($1)", [pid]);
  } catch {
    // The second connection broke as well: the caller hangs up, which is all that is left.
  } finally {
    await client?.end().catch(() => {});
  }
}
