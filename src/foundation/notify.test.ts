import { expect, test } from "vitest";
import { freshDatabase } from "../../test/support/database.ts";
import { systemClock } from "./clock.ts";
import { createDatabase } from "./db.ts";
import { startJobs } from "./jobs.ts";
import { silentLog } from "./log.ts";
import { notify, startNotifier } from "./notify.ts";

const wait = { timeout: 30_000, interval: 20 };

test("a listener hears what is said when the transaction commits, and again after losing its connection", async () => {
  await using database = await freshDatabase({ migrations: [] });
  const db = createDatabase<object>(database.pool);
  const { databaseUrl } = database;
  const notifier = await startNotifier({
    databaseUrl,
    channels: ["news"],
    clock: systemClock,
    log: silentLog,
  });
  const heard: string[] = [];
  let reconnects = 0;
  notifier.listen(
    "news",
    (payload) => heard.push(payload),
    () => {
      reconnects += 1;
    },
  );
  await db
    .transaction()
    .execute(async (tx) => {
      await notify(tx, "news", "undone");
      throw new Error("undo");
    })
    .catch(() => {});
  await notify(db, "news", "one");
  await expect.poll(() => heard, wait).toEqual(["one"]);
  await database.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'signalbox-listen' and datname = current_database()`,
  );
  await expect.poll(() => reconnects, wait).toBe(1);
  await notify(db, "news", "two");
  await expect.poll(() => heard, wait).toEqual(["one", "two"]);
  await notifier.close();
});

test("a job exists with its transaction or not at all", async () => {
  await using database = await freshDatabase({ migrations: [] });
  const db = createDatabase<object>(database.pool);
  const jobs = await startJobs({ pool: database.pool, queues: ["mail"], log: silentLog });
  const done: unknown[] = [];
  await db
    .transaction()
    .execute(async (tx) => {
      await jobs.add(tx, "mail", { id: "undone" });
      throw new Error("undo");
    })
    .catch(() => {});
  await db.transaction().execute((tx) => jobs.add(tx, "mail", { id: "kept" }));
  await jobs.work("mail", async (data) => {
    done.push(data);
  });
  await expect.poll(() => done, wait).toEqual([{ id: "kept" }]);
  await jobs.close();
});
