import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { freshDatabase } from "../../test/support/database.ts";
import { systemClock } from "./clock.ts";
import { migrate } from "./migrate.ts";

async function migrations(files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "migrations-"));
  for (const [name, sql] of Object.entries(files)) await writeFile(join(directory, name), sql);
  return directory;
}

test("two processes that migrate at once apply each migration once", async () => {
  await using db = await freshDatabase({ migrations: [] });
  const directory = await migrations({
    "0001_a.sql": "create table a (id int); insert into a values (1)",
    "0002_b.sql": "insert into a values (2)",
  });
  const deps = { pool: db.pool, clock: systemClock, schema: "s", directory };
  const results = await Promise.all([migrate(deps), migrate(deps), migrate(deps)]);
  expect(results.flatMap((result) => result.applied).sort()).toEqual([1, 2]);
  expect((await db.pool.query("select id from s.a order by id")).rows).toEqual([{ id: 1 }, { id: 2 }]);
});

test("a migration that fails leaves nothing behind and is tried again", async () => {
  await using db = await freshDatabase({ migrations: [] });
  const broken = await migrations({ "0001_a.sql": "create table a (id int); select nonsense" });
  const deps = { pool: db.pool, clock: systemClock, schema: "s" };
  await expect(migrate({ ...deps, directory: broken })).rejects.toThrow("nonsense");
  const mended = await migrations({ "0001_a.sql": "create table a (id int)" });
  expect(await migrate({ ...deps, directory: mended })).toEqual({ applied: [1] });
});

test("a process that meets a newer breaking schema refuses with a sentence; a newer harmless one is fine", async () => {
  await using db = await freshDatabase({ migrations: [] });
  const deps = { pool: db.pool, clock: systemClock, schema: "s" };
  const old = await migrations({ "0001_a.sql": "create table a (id int)" });
  const harmless = { "0001_a.sql": "create table a (id int)", "0002_b.sql": "create table b (id int)" };
  await migrate({ ...deps, directory: await migrations(harmless) });
  expect(await migrate({ ...deps, directory: old })).toEqual({ applied: [] });
  const breaking = { ...harmless, "0003_c.sql": "--! breaking: a is gone\ndrop table a" };
  await migrate({ ...deps, directory: await migrations(breaking) });
  await expect(migrate({ ...deps, directory: old })).rejects.toThrow(
    'revision 3 of schema "s", a breaking one (a is gone), and this Signalbox knows revisions up to 1',
  );
});
