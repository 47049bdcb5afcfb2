import { resolve } from "node:path";
import pg from "pg";
import { inject } from "vitest";
import { systemClock } from "../../src/foundation/clock.ts";
import { randomText } from "../../src/foundation/ids.ts";
import { migrate } from "../../src/foundation/migrate.ts";

export type MigrationSet = "control" | "dock";

export type FreshDatabase = AsyncDisposable & { readonly databaseUrl: string; readonly pool: pg.Pool };

/** The schema and the folder of each process's migrations. */
const SCHEMAS = { control: "public", dock: "dock" } as const;

/** An empty database of its own on the run's real PostgreSQL, migrated as asked and dropped with `await using`. */
export async function freshDatabase(options: {
  migrations: readonly MigrationSet[];
}): Promise<FreshDatabase> {
  const server = inject("databaseUrl");
  const name = `test_${randomText(10)}`;
  await admin(server, `create database ${name}`);
  const databaseUrl = withDatabase(server, name);
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 });
  pool.on("error", () => {});
  for (const set of options.migrations) {
    const directory = resolve(import.meta.dirname, "../../migrations", set);
    await migrate({ pool, clock: systemClock, schema: SCHEMAS[set], directory });
  }
  return {
    databaseUrl,
    pool,
    async [Symbol.asyncDispose]() {
      await pool.end();
      await admin(server, `drop database ${name} with (force)`);
    },
  };
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

async function admin(databaseUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

declare module "vitest" {
  interface ProvidedContext {
    /** A real PostgreSQL started for this run. */
    databaseUrl: string;
  }
}
