import { type Kysely, Kysely as KyselyClient, PostgresDialect, type Transaction } from "kysely";
import pg from "pg";

/** A database of tables `T`. Each domain declares the rows of its own tables in its `queries.ts`. */
export type Database<T> = Kysely<T>;
/** A transaction, or the database itself where a single statement is enough. */
export type Tx<T> = Transaction<T> | Kysely<T>;

// bigint columns (sizes, sequence numbers) stay below 2^53 here, and `string` would leak into every API answer.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/**
 * A pool of at most `max` connections (default 10). Its idle-connection errors go to `onError`, never to the process.
 */
export function createPool(options: {
  databaseUrl: string;
  applicationName: string;
  max?: number;
  /** Schema search path, e.g. `dock,public`. Default: the server's. */
  searchPath?: string;
  /** False: a commit does not wait for the disk. Only for rows that may be lost when Postgres itself crashes. */
  durable?: boolean;
  onError?: (error: Error) => void;
}): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    application_name: options.applicationName,
    max: options.max ?? 10,
    connectionTimeoutMillis: 5_000,
    options: [
      ...(options.searchPath === undefined ? [] : [`-c search_path=${options.searchPath}`]),
      ...(options.durable === false ? ["-c synchronous_commit=off"] : []),
    ].join(" "),
  });
  pool.on("error", (error) => options.onError?.(error));
  // In a transaction the connection is nobody's but its holder's, who learns of its end by the next query; without a
  // listener of its own that end would be the process's.
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

export function createDatabase<T>(pool: pg.Pool): Database<T> {
  return new KyselyClient<T>({ dialect: new PostgresDialect({ pool }) });
}

/** Postgres error codes that we act on. Source: PostgreSQL manual, appendix A. */
export const PG = {
  uniqueViolation: "23505",
  foreignKeyViolation: "23503",
  serializationFailure: "40001",
  deadlock: "40P01",
  undefinedTable: "42P01",
  adminShutdown: "57P01",
} as const;
