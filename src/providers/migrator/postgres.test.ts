import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import fc from "fast-check";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { file, runFiles, until } from "../../../test/contract/migrator.ts";
import { allowedTo } from "../../../test/support/allowed-networks.ts";
import { type FreshDatabase, freshDatabase } from "../../../test/support/database.ts";
import { startTlsFront } from "../../../test/support/tls-front.ts";
import { systemClock } from "../../foundation/clock.ts";
import { hideSecrets } from "./hide-secrets.ts";
import { createPostgresMigrator } from "./postgres.ts";
import { checkDatabaseUrl } from "./postgres-address.ts";

const ALLOWED = ["127.0.0.0/8"];
const migrator = createPostgresMigrator({ clock: systemClock, networksOf: allowedTo({ prj_shop: ALLOWED }) });
/** `localhost` may be either. */
const anywhere = createPostgresMigrator({
  clock: systemClock,
  networksOf: async () => [...ALLOWED, "::1/128"],
});
let fresh: FreshDatabase;

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: [] });
});
afterAll(() => fresh[Symbol.asyncDispose]());
beforeEach(async () => {
  await fresh.pool.query(`drop schema if exists signalbox cascade; drop schema public cascade; create schema public;
    create table t (id int primary key, v text); insert into t select n, 'v' from generate_series(1, 3) n`);
});

type Options = Parameters<typeof runFiles>[2];
const run = (files: Record<string, string>, options: Options & { migrator?: typeof migrator } = {}) =>
  runFiles(
    { migrator: options.migrator ?? migrator, url: fresh.databaseUrl },
    Object.entries(files).map(([name, sql]) => file(name, sql)),
    options,
  );
const rows = async (sql: string) => (await fresh.pool.query(sql)).rows;
const sleeping = async () =>
  (await rows("select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(601)'"))
    .length;

/** A connection that holds a lock until it is disposed of. */
async function holding(sql: string): Promise<AsyncDisposable> {
  const client = new pg.Client({ connectionString: fresh.databaseUrl, application_name: "the-app" });
  await client.connect();
  await client.query(`begin; ${sql}`);
  return { [Symbol.asyncDispose]: () => client.end() };
}

describe("the log", () => {
  it("has each statement with its line, its rows and its time, and the notices", async () => {
    const { lines } = await run({
      "1.sql": `create table u (id int);\n
        update t set v = 'w' where id > 1;
        do $$ begin raise notice 'half way'; raise warning 'oh'; end $$;
        create table if not exists u (id int);`,
    });
    const plain = lines.map((line) => line.replace(/\d+ ms$/, "N ms"));
    expect(plain).toEqual([
      "expand: 1 of 1 files to apply",
      "1.sql: 4 statements",
      "1.sql:1 CREATE TABLE, N ms",
      "1.sql:3 UPDATE 2 rows, N ms",
      "NOTICE: half way",
      "WARNING: oh",
      "1.sql:4 DO, N ms",
      'NOTICE: relation "u" already exists, skipping',
      "1.sql:5 CREATE TABLE, N ms",
      "1.sql: applied in N ms",
    ]);
  });

  it("is not flooded by notices", async () => {
    const flood = "do $$ begin for n in 1..2000 loop raise notice 'n %', n; end loop; end $$";
    const { lines, error } = await run({ "1.sql": flood });
    expect(error).toBeNull();
    expect(lines.length).toBeLessThan(520);
    expect(lines).toContain("Further notices are left out.");
  });
});

describe("an error", () => {
  it("names file, line within the statement, code, message and what Postgres advises", async () => {
    const { error } = await run({ "1.sql": "select '😀é';\nselect id,\n  '😀', valeu\nfrom t" });
    expect(error).toMatchObject({
      message: '1.sql, line 3: column "valeu" does not exist (42703)',
      details: { file: "1.sql", line: 3, sqlState: "42703" },
    });
    expect(error.hint).toMatch(/Nothing of 1\.sql stays/);
    const hinted = await run({ "1.sql": "select lenght('a')" });
    expect(hinted.error.hint).toMatch(/^No function matches|might need to add explicit type casts/);
  });

  it("of a statement that needs no transaction says how to have none", async () => {
    const { error } = await run({ "1.sql": "create index concurrently on t (v)" });
    expect(error).toMatchObject({ message: expect.stringContaining("(25001)") });
    expect(error.hint).toContain("`--! no-transaction`");
    expect((await run({ "1.sql": "copy t from stdin" })).error).toMatchObject({
      message: expect.stringContaining("COPY from stdin failed"),
      hint: expect.stringMatching(/^A file has no input .* use INSERT/),
    });
  });

  it("of a constraint that is checked at the commit leaves nothing", async () => {
    await rows("create table d (id int unique deferrable initially deferred)");
    const { error } = await run({ "1.sql": "insert into d values (1), (1)" });
    expect(error).toMatchObject({
      code: "unprocessable",
      message: expect.stringMatching(/^1\.sql: .*\(23505\)$/),
    });
    expect(await rows("select * from d")).toEqual([]);
    expect(await rows("select * from signalbox.signalbox_migrations")).toEqual([]);
  });

  it("of the login, or of a server that is not there, is told apart", async () => {
    const wrong = new URL(fresh.databaseUrl);
    wrong.pathname = "/no_such_database";
    expect((await run({}, { databaseUrl: wrong.href })).error).toMatchObject({ code: "unprocessable" });
    wrong.port = "1";
    expect((await run({}, { databaseUrl: wrong.href })).error).toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        /^The app's database at 127\.0\.0\.1:1\/no_such_database could not be reached/,
      ),
    });
  });
});

describe("a lock", () => {
  it("that cannot be had in time is let go and tried again, so that the app gets through", async () => {
    const holder = await holding("lock table t in share mode");
    const running = run(
      { "1.sql": "insert into t values (9);\nalter table t add column w int" },
      { lockTimeoutMs: 100 },
    );
    await until("it has given up once", async () => {
      const [blocked] = await rows(
        "select 1 from pg_stat_activity where application_name like 'signalbox expand%' and query like '%xact_start%'",
      );
      return blocked !== undefined;
    });
    await holder[Symbol.asyncDispose]();
    const { error, text } = await running;
    expect(error).toBeNull();
    expect(text).toMatch(
      /1\.sql:1 did not get its lock \(.*the-app, process \d+, idle in transaction.*; trying again/,
    );
  });

  it("that cannot be had at all ends the phase with who may hold it", async () => {
    await using _ = await holding("lock table t in share mode");
    const { error } = await run(
      { "1.sql": "alter table t add column w int" },
      { lockTimeoutMs: 50, timeoutMs: 3_500 },
    );
    expect(error).toMatchObject({
      code: "unprocessable",
      message: expect.stringMatching(/^1\.sql, line 1: did not get its lock \(.*the-app.*within 50 ms/),
    });
  });
});

describe("a file", () => {
  it("without a transaction keeps what it did before it failed, and is run again from its beginning", async () => {
    const half = "--! no-transaction\ncreate index concurrently if not exists t_v on t (v);\nselect 1/0";
    expect((await run({ "1.sql": half })).error.hint).toMatch(
      /did so far stays, and it will be run from its beginning/,
    );
    const whole = await run({ "1.sql": half.replace("1/0", "1") });
    expect(whole.error).toBeNull();
    expect(whole.text).toContain("1.sql:2 CREATE INDEX");
    expect(await rows("select 1 from pg_indexes where indexname = 't_v'")).toHaveLength(1);
  });

  it("may build an index concurrently behind a long transaction", async () => {
    const holder = await holding("insert into t values (10)");
    const sql = "--! no-transaction\ncreate index concurrently t_v on t (v)";
    const running = run({ "1.sql": sql }, { lockTimeoutMs: 50 });
    await until("it waits", async () => {
      const waiting =
        "select 1 from pg_stat_activity where query like 'create index conc%' and wait_event_type = 'Lock'";
      return (await rows(waiting)).length === 1;
    });
    await systemClock.sleep(150);
    await holder[Symbol.asyncDispose]();
    expect((await running).error).toBeNull();
  });

  it("without a transaction may have blocks that commit, as the guide has one that fills in batches", async () => {
    const guide = await readFile("docs/migrations.md", "utf8");
    const batches = /```sql\n(--! no-transaction\ndo [\s\S]*?)```/.exec(guide)?.[1] ?? "";
    await rows("create table users (id int primary key, name text, full_name text)");
    await rows("insert into users select n, 'user ' || n from generate_series(1, 12000) n");
    expect((await run({ "1.sql": batches })).error).toBeNull();
    expect(await rows("select 1 from users where full_name is distinct from name")).toEqual([]);
  });

  it("leaves its settings and its role to no other file, nor to the record", async () => {
    await rows(`do $$ begin if not exists (select from pg_roles where rolname = 'nobody_much') then
      create role nobody_much; end if; end $$`);
    const { error } = await run({
      "1.sql":
        "set role nobody_much; set search_path = nowhere; set lock_timeout = 1; set statement_timeout = 1",
      "2.sql": "insert into t values (11)",
      "3.sql": "--! no-transaction\nset role nobody_much",
      "4.sql": "set role nobody_much",
    });
    expect(error).toBeNull();
    expect(await rows("select name from signalbox.signalbox_migrations order by name")).toHaveLength(4);
  });

  it("whose process is killed at any statement is applied once by the next run", async () => {
    await rows(`create table die (at int); create table said (n int);
      create function may_die(here int) returns void language plpgsql as $$ begin
        if exists (select from die where at = here) then perform pg_terminate_backend(pg_backend_pid()); end if;
      end $$`);
    const step = (n: number) => `insert into said values (${n}); select may_die(${n});`;
    const files = { "1.sql": step(1) + step(2), "2.sql": step(3) + step(4) };
    for (const at of [1, 2, 3, 4]) {
      await rows(
        `truncate die, said; drop schema if exists signalbox cascade; insert into die values (${at})`,
      );
      const killed = await run(files);
      expect(killed.error).toMatchObject({ code: "unavailable", message: expect.stringContaining("57P01") });
      expect(killed.applied).toEqual(at > 2 ? ["1.sql"] : []);
      await rows("truncate die");
      expect((await run(files)).error).toBeNull();
      expect(await rows("select n from said order by n")).toEqual([1, 2, 3, 4].map((n) => ({ n })));
    }
  });
});

describe("statements", () => {
  const nasty = fc
    .array(
      fc.constantFrom("'", '"', "$", "$$", "$q$", ";", "--", "/*", "*/", "\\", "\n", "x", " ", "é", "😀"),
      {
        maxLength: 10,
      },
    )
    .map((parts) => parts.join(""));
  const between = fc.constantFrom("", " -- ; '\n", "/* ; ' /* $$ */ */", "\n", " ; ");
  const literal = nasty.chain((text) =>
    fc
      .constantFrom(
        `'${text.replaceAll("'", "''")}'`,
        `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`,
        `e'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'\n''`,
        // Text that ends with the beginning of the tag would close it early.
        ...(text.includes("$") ? [] : [`$t$${text}$t$`, `$$${text}$$`]),
      )
      .map((sql) => ({ text, sql })),
  );

  it("are split as Postgres reads them, whatever is in their strings and between them", async () => {
    await rows("create table said (n serial, v text)");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(literal, between), { minLength: 1, maxLength: 6 }),
        async (parts) => {
          await rows("truncate said; drop schema if exists signalbox cascade");
          const sql = parts
            .map(([{ sql }, gap]) => `insert into said (v) values (${sql})${gap};${gap}`)
            .join("");
          const { error } = await run({ "1.sql": sql });
          expect(error).toBeNull();
          const said = await rows("select v from said order by n");
          expect(said.map(({ v }) => v)).toEqual(parts.map(([{ text }]) => text));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("with semicolons of their own are whole: bodies of functions, and rules", async () => {
    const { error, text } = await run({
      "1.sql": `create function f(a int) returns int begin atomic
          select case when a > 0 then 1 else 2 end; select 3; end;
        create rule r as on delete to t do also (update t set v = 'a'; update t set v = 'b');
        create procedure p() language plpgsql as $$ begin perform 1; end; $$; call p()`,
    });
    expect(error).toBeNull();
    expect(text).toContain("1.sql: 4 statements");
  });
});

describe("our own death", () => {
  it("ends the statement at the server as well", async () => {
    const code = `
      import { createPostgresMigrator } from ${JSON.stringify(resolve("src/providers/migrator/postgres.ts"))};
      import { systemClock } from ${JSON.stringify(resolve("src/foundation/clock.ts"))};
      const files = [{ name: "1.sql", sha1: "x", sql: "select pg_sleep(601)" }];
      await createPostgresMigrator({ clock: systemClock, networksOf: async () => ${JSON.stringify(ALLOWED)} }).run({
        databaseUrl: process.argv[1], phase: "expand", files, timeoutMs: 600_000, lockTimeoutMs: 1_000,
        projectId: "prj_shop", project: "shop", environment: "production", release: "dep_x",
        onLine() {}, onApplied() {},
      }, new AbortController().signal);`;
    const args = ["--input-type=module", "--eval", code, fresh.databaseUrl];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    await until("it sleeps", async () => (await sleeping()) === 1);
    child.kill("SIGKILL");
    await until("the server has noticed", async () => (await sleeping()) === 0);
    expect((await run({ "1.sql": "select 1" })).error).toBeNull();
  });
});

describe("an address", () => {
  const check = (url: string, allow = ALLOWED) => checkDatabaseUrl(url, allow);

  it.each([
    "postgres://u:p@127.0.0.1/x",
    "postgres://u:p@localhost:5432/x",
    "postgres://u:p@[::1]/x",
    "postgresql://u:p@10.1.2.3/x",
    "postgres://u:p@169.254.169.254/x",
    "postgres://u:p@0x7f.1/x",
  ])("of a private network is refused unless that is allowed: %s", async (url) => {
    await expect(check(url, [])).rejects.toMatchObject({ code: "bad_request" });
  });

  it("of a network allowed to one project is refused to another, in a run and in a status", async () => {
    const refusal = { code: "bad_request", hint: expect.stringContaining("signalbox network allow") };
    const database = { databaseUrl: fresh.databaseUrl, timeoutMs: 30_000 };
    const status = (projectId: string) =>
      migrator.status({ projectId, ...database, files: { expand: [], contract: [] } }, AbortSignal.any([]));
    const created = { "1.sql": "create table made (id int)" };
    expect((await run(created, { projectId: "prj_blog" })).error).toMatchObject(refusal);
    await expect(status("prj_blog")).rejects.toMatchObject(refusal);
    expect(await status("prj_shop")).toMatchObject({ applied: [], problems: [] });
    expect((await run(created)).error).toBeNull();
  });

  it("has only the host that was checked: no socket, no other host, no files of ours", async () => {
    await expect(check("postgres://u:p@%2Fvar%2Frun/x")).rejects.toMatchObject({ code: "bad_request" });
    await expect(check("postgres:///x?host=/var/run")).rejects.toMatchObject({ code: "bad_request" });
    const address = await check(
      "postgres://u@127.0.0.1/x?host=10.0.0.1&sslrootcert=/etc/passwd&sslmode=verify-full",
    );
    expect(address).toMatchObject({ addresses: ["127.0.0.1"], password: "", tls: [{}] });
  });

  it("without a mode is encrypted where the server can, and never in the open where it must be", async () => {
    const modes = async (query: string) => (await check(`postgres://u:p@127.0.0.1/x${query}`)).tls;
    expect(await modes("")).toEqual([{ rejectUnauthorized: false }, false]);
    expect(await modes("?sslmode=require")).toEqual([{ rejectUnauthorized: false }]);
    expect(await modes("?ssl=true")).toEqual([{}]);
    expect(await modes("?sslmode=disable")).toEqual([false]);
    await expect(modes("?sslmode=maybe")).rejects.toThrow(/unknown sslmode/);
    const required = new URL(fresh.databaseUrl);
    required.searchParams.set("sslmode", "require");
    expect((await run({}, { databaseUrl: required.href })).error).toMatchObject({ code: "unavailable" });
  });
});

describe("a server with a certificate that nobody signed", () => {
  it("is used encrypted, under its name, and refused where its certificate is to be checked", async () => {
    await using front = await startTlsFront(new URL(fresh.databaseUrl));
    const over = (query: string) => {
      const url = new URL(fresh.databaseUrl);
      url.host = `localhost:${front.port}`;
      url.search = query;
      return run({ "1.sql": "select 1" }, { databaseUrl: url.href, migrator: anywhere });
    };
    expect((await over("")).error).toBeNull();
    expect((await over("?sslmode=require")).error).toBeNull();
    expect(new Set(front.names)).toEqual(new Set(["localhost"]));
    for (const mode of ["verify-ca", "verify-full"]) {
      expect((await over(`?sslmode=${mode}`)).error).toMatchObject({
        code: "unavailable",
        message: expect.stringContaining("self-signed certificate"),
      });
    }
    // The front knows encrypted connections only, and this one is not tried any other way.
    expect((await over("?sslmode=disable")).error).toMatchObject({ code: "unavailable" });
  });

  it("is told to end a statement, encrypted as well", async () => {
    await using front = await startTlsFront(new URL(fresh.databaseUrl));
    const url = new URL(fresh.databaseUrl);
    url.host = `localhost:${front.port}`;
    const options = { databaseUrl: url.href, timeoutMs: 2_000, migrator: anywhere };
    expect((await run({ "1.sql": "select pg_sleep(601)" }, options)).error.message).toMatch(/did not finish/);
    expect(await sleeping()).toBe(0);
  });
});

describe("a secret", () => {
  it("is hidden as it is and encoded; a short one only where it stands alone", () => {
    const hide = hideSecrets(["p@ss w", "ab"]);
    expect(hide("p@ss w, p%40ss%20w, p@ss%20w; ab, table, (ab)")).toBe(
      "[hidden], [hidden], [hidden]; [hidden], table, ([hidden])",
    );
    expect(hideSecrets([""])("nothing")).toBe("nothing");
  });
});
