import { systemClock } from "../../src/foundation/clock.ts";
import { createPostgresMigrator } from "../../src/providers/migrator/postgres.ts";
import { freshDatabase } from "../support/database.ts";
import { type AppDatabase, migratorContract } from "./migrator.ts";

const PASSWORD = "p@ss/w:rd #1";
const ROLE = "contract_app";

/** A database whose owner is an ordinary role: apps are no superusers. */
async function newDatabase(): Promise<AppDatabase> {
  const fresh = await freshDatabase({ migrations: [] });
  const name = new URL(fresh.databaseUrl).pathname.slice(1);
  await fresh.pool.query(`do $$ begin
    if not exists (select from pg_roles where rolname = '${ROLE}') then
      create role ${ROLE} login password '${PASSWORD}';
    end if; end $$`);
  await fresh.pool.query(`alter database ${name} owner to ${ROLE}`);
  const url = new URL(fresh.databaseUrl);
  url.username = ROLE;
  url.password = encodeURIComponent(PASSWORD);
  return {
    url: url.href,
    password: PASSWORD,
    query: async (sql) => (await fresh.pool.query(sql)).rows,
    close: async () => await fresh[Symbol.asyncDispose](),
  };
}

migratorContract("postgres", async () => {
  return {
    migrator: createPostgresMigrator({ clock: systemClock, networksOf: async () => ["127.0.0.0/8"] }),
    newDatabase,
    endless: "select pg_sleep(600)",
    endlessRunning: async (database) => {
      const [row] = await database.query(
        `select count(*)::int as running from pg_stat_activity
         where datname = current_database() and state = 'active' and query = 'select pg_sleep(600)'`,
      );
      return Number(row?.running);
    },
  };
});
