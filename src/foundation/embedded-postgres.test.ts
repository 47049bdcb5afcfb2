import { chmod, lstat, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { startEmbeddedPostgres } from "./embedded-postgres.ts";
import { silentLog } from "./log.ts";
import { isAlive } from "./process.ts";

const deps = { clock: systemClock, log: silentLog };

async function query(databaseUrl: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemClock.sleep(10);
}

test("a server that outlived its parent is adopted, a killed one recovers, a stopped one keeps its data", async () => {
  const dir = await mkdtemp(join(tmpdir(), "pg-life-"));
  await chmod(dir, 0o755);
  const first = await startEmbeddedPostgres(deps, { dir });
  expect(first.adopted).toBe(false);
  await query(first.databaseUrl, "create table kept (n int)");
  await query(first.databaseUrl, "insert into kept values (42)");

  const second = await startEmbeddedPostgres(deps, { dir });
  expect(second).toMatchObject({ adopted: true, pid: first.pid, databaseUrl: first.databaseUrl });

  process.kill(first.pid, "SIGKILL");
  await until(() => !isAlive(first.pid));
  const third = await startEmbeddedPostgres(deps, { dir });
  expect(third.adopted).toBe(false);
  expect(third.databaseUrl).toBe(first.databaseUrl);
  expect(await query(third.databaseUrl, "select n from kept")).toEqual([{ n: 42 }]);

  await third.stop();
  expect(isAlive(third.pid)).toBe(false);
  await third.stop();
  await rm(dir, { recursive: true });
});

// Nobody else's cluster has to move: there is nothing to skip for an ordinary user.
const asRoot = process.getuid?.() === 0 ? test : () => {};
asRoot("as root in a closed folder, the cluster moves to where its account can read", async () => {
  const dir = await mkdtemp(join(tmpdir(), "pg-closed-"));
  await chmod(dir, 0o700);
  const postgres = await startEmbeddedPostgres(deps, { dir });
  try {
    expect(await query(postgres.databaseUrl, "select 1 as one")).toEqual([{ one: 1 }]);
    expect((await lstat(join(dir, "postgres"))).isSymbolicLink()).toBe(true);
  } finally {
    await postgres.stop();
    await rm(join(await realpath(join(dir, "postgres")), ".."), { recursive: true });
    await rm(dir, { recursive: true });
  }
});
