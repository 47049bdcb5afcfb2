import { expect, it } from "vitest";
import { freshDatabase } from "../../../test/support/database.ts";
import { systemClock } from "../../foundation/clock.ts";
import { createDatabase, createPool } from "../../foundation/db.ts";
import { silentLog } from "../../foundation/log.ts";
import type { DockTables } from "../rows.ts";
import { createEventLog, type LogEvent } from "./event-log.ts";

async function testLog() {
  const database = await freshDatabase({ migrations: ["dock"] });
  const pool = createPool({ ...database, applicationName: "test", searchPath: "dock" });
  // The log is what is looked at here, not the deployment that it belongs to.
  await pool.query("alter table deployment_events drop constraint deployment_events_deployment_id_fkey");
  const deps = { db: createDatabase<DockTables>(pool), clock: systemClock, log: silentLog };
  return {
    create: () => createEventLog(deps),
    async [Symbol.asyncDispose]() {
      await pool.end();
      await database[Symbol.asyncDispose]();
    },
  };
}
const line = (text: string) => ({ type: "stdout", text });
const never = new AbortController().signal;
async function texts(events: AsyncIterable<LogEvent>): Promise<string[]> {
  const all: string[] = [];
  for await (const event of events) all.push(event.text);
  return all;
}

it("a follower sees every line once and in order, however late it comes and however many there are", async () => {
  await using test = await testLog();
  const log = test.create();
  await log.open("d");
  const expected = Array.from({ length: 12_000 }, (_, i) => `line ${i}`);
  for (const text of expected.slice(0, 100)) log.append("d", line(text));
  const early = texts(log.follow("d", never));
  for (const text of expected.slice(100, 3_000)) log.append("d", line(text));
  await log.flush();
  const late = texts(log.follow("d", never));
  // More in one turn than a follower's queue holds.
  for (const text of expected.slice(3_000)) log.append("d", line(text));
  await log.end("d");
  expect(await early).toEqual(expected);
  expect(await late).toEqual(expected);
  expect(await texts(log.follow("d", never))).toEqual(expected);
});

it("a follower gets a line before its row is written", async () => {
  await using test = await testLog();
  const log = test.create();
  await log.open("d");
  const follower = log.follow("d", never);
  log.append("d", line("first"));
  expect((await follower.next()).value).toMatchObject({ text: "first", serial: 1 });
  const next = follower.next();
  log.append("d", line("second"));
  expect((await next).value).toMatchObject({ text: "second", serial: 2 });
  await follower.return(undefined);
  await log.end("d");
});

it("a new process goes on with the next serial; a NUL does not lose the line", async () => {
  await using test = await testLog();
  const first = test.create();
  await first.open("d");
  first.append("d", line("a\0b"));
  await first.end("d");
  const second = test.create();
  await second.open("d");
  second.append("d", line("c"));
  await second.end("d");
  expect(await second.read("d", 0, 10)).toMatchObject([
    { serial: 1, text: "a\uFFFDb" },
    { serial: 2, text: "c" },
  ]);
});

it("a follower that is told to stop, stops", async () => {
  await using test = await testLog();
  const log = test.create();
  await log.open("d");
  const stop = new AbortController();
  const reading = texts(log.follow("d", stop.signal));
  stop.abort();
  expect(await reading).toEqual([]);
  await log.end("d");
});
