import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Deployment } from "../../bench/support/api.ts";
import { databaseOf } from "../../bench/support/database-of.ts";
import type { Load } from "../../bench/support/load.ts";
import { type Stage, tellCommit } from "./acts.ts";
import { approve, shipToApproval } from "./approval.ts";
import { renameTheRemark } from "./commits.ts";
import type { Commit } from "./repository.ts";
import { PROJECT, runCli } from "./ship.ts";
import { duration } from "./story.ts";
import { watchRollout } from "./watch.ts";

const LOOK_EVERY_MS = 100;

/** A database of the shop's own, with a user of its own, on the same PostgreSQL server. Returns its address. */
async function makeLedger({ instance, story }: Stage): Promise<string> {
  const own = new URL(await databaseOf(instance.dir));
  const password = randomBytes(12).toString("hex");
  const admin = new pg.Client({ connectionString: own.href });
  await admin.connect();
  await admin.query(`create role shop login password '${password}'`);
  await admin.query("create database shop_ledger owner shop");
  await admin.end();
  const address = `postgres://shop:${password}@${own.host}/shop_ledger`;
  await ask(
    address,
    `create table orders (id int generated always as identity, remark text);
     insert into orders (remark) select 'Please wrap it' from generate_series(1, 1000)`,
  );
  story.say("The shop's ledger is a real database: shop_ledger, 1,000 orders, each with a remark.");
  return address;
}

/** The fifth commit renames a column in two halves: the new one before traffic, the end of the old one afterwards. */
export async function migrate(stage: Stage, load: Load, before: Commit, reviewer: string): Promise<void> {
  const { repository, story } = stage;
  const address = await makeLedger(stage);
  const commit = await renameTheRemark(repository, address);
  tellCommit(story, commit);
  story.quote("db/expand/0001_note.sql       add column note, and fill it: before traffic, requests held");
  story.quote("db/contract/0001_remark.sql   drop column remark: after the rollback window of 2 s");
  const { id, ended } = await shipToApproval(stage, commit);
  await approve(stage, id, reviewer);
  await load.take();
  const deployment = await watchRollout({ ...stage, load }, id, [before.version, commit.version]);
  await ended;
  if (deployment.state !== "live")
    throw new Error(`The migration's deployment ended ${deployment.state}: ${deployment.reason}`);
  const migrating = deployment.phases.find(({ state }) => state === "migrating")?.durationMs ?? 0;
  story.good(
    `Expanded in ${duration(migrating)}; whoever came meanwhile waited and was answered. ` +
      `Columns: ${await columns(address)}.`,
  );
  await contracted(stage, id);
  story.good(`The rollback window has passed: contracted. Columns: ${await columns(address)}.`);
  story.say(`The way back is barred from here: the commit of v${before.version} counts on what is gone.`);
  const refused = await runCli(stage, ["rollback", "--env", "production", "--project", PROJECT]);
  if (refused.code === 0) throw new Error("A rollback across a contract migration was not refused.");
}

async function contracted({ instance }: Stage, id: string): Promise<void> {
  for (;;) {
    const { deployment } = await instance.api.status(id, Number.MAX_SAFE_INTEGER);
    const { contractAt, problem } = deployment as Deployment & {
      contractAt: string | null;
      problem: string | null;
    };
    if (problem !== null) throw new Error(`The contract migration: ${problem}`);
    if (contractAt === null) return;
    await sleep(LOOK_EVERY_MS);
  }
}

async function columns(address: string): Promise<string> {
  const rows = await ask(
    address,
    `select string_agg(column_name, ', ' order by column_name) as names
     from information_schema.columns where table_name = 'orders'`,
  );
  return String(rows[0]?.names);
}

async function ask(address: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: address });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
