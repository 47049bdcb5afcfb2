import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { lintExpand, requireExpand, requireMigrations } from "./index.ts";

const file = (sql: string, name = "0001_a.sql") => ({ name, sha1: "", sql });
const severities = (sql: string) => lintExpand([file(sql)]).map(({ severity }) => severity);

describe("an expand file", () => {
  it.each([
    "drop table users",
    "DROP TABLE IF EXISTS a.b, c cascade",
    "drop materialized view v",
    "drop function f(int)",
    "truncate users",
    "alter table users drop column email",
    "alter table only a.users drop email",
    'alter table if exists "Users" add x int, drop column if exists "Email"',
    "alter table users rename to people",
    "alter table users rename column a to b",
    "alter table users rename a to b",
    "alter view v rename to w",
    "alter type mood rename value 'a' to 'b'",
    "alter type pair drop attribute b",
    "alter function f(a int, b int) rename to g",
    "alter table users set schema old",
    "alter table logs detach partition logs_2024",
    "select 1; -- fine\n/* and */ drop schema s",
  ])("may not: %s", (sql) => {
    expect(severities(sql)).toContain("refuse");
    expect(severities(`--! allow-destructive: nobody reads it\n${sql}`)).not.toContain("refuse");
  });

  it.each([
    "alter table users alter column age type bigint",
    "alter table users alter age set data type bigint",
    "alter table users alter column age set not null",
    "alter table users alter column age drop default",
    "alter table users add column age int not null",
    "alter table users add age int not null",
    "alter table users add constraint c check (age > 0)",
    "alter table users add foreign key (a) references b",
    "alter table users add constraint u unique (email)",
    "create index on users (email)",
    "create unique index users_email on only users (email)",
    "update users set age = 0",
    "delete from users",
  ])("is warned about: %s", (sql) => {
    expect(severities(sql)).toEqual(["warn"]);
  });

  it.each([
    "create table users (id int primary key, email text not null check (email <> '')); create index on users (email)",
    "alter table users add column age int",
    "alter table users add column age int not null default 0",
    "alter table users add column if not exists id bigserial not null",
    "alter table users add column n int generated always as identity not null",
    "alter table users add constraint c check (age > 0) not valid",
    "alter table users add constraint u unique using index users_email",
    "alter table users validate constraint c",
    "alter table users alter column age drop not null, alter age set default 0",
    "alter table users drop constraint c",
    "alter table users add column rename text",
    "alter index a rename to b; alter table users rename constraint a to b",
    "drop index concurrently if exists users_email",
    "--! no-transaction\ncreate index concurrently if not exists users_email on users (email)",
    "alter type mood add value 'fine'",
    "update users set age = 0 where age is null",
    "insert into log values ('drop table users; truncate users')",
    "comment on table users is $$alter table users drop column email$$",
    'select "drop table users"',
  ])("may: %s", (sql) => {
    expect(severities(sql)).toEqual([]);
  });

  it("is refused with every destructive statement, its line and where it belongs", () => {
    const files = [file("create table a (id int);\n\ndrop table b"), file("truncate c", "0002_b.sql")];
    expect(() => requireExpand(files)).toThrow(/^0001_a\.sql, line 3: DROP TABLE .* \(and 1 more\)$/);
  });

  it("is judged so, and a contract file only by its directives and transactions", () => {
    const drop = file("drop table a");
    expect(requireMigrations({ expand: [], contract: [drop] })).toEqual([]);
    expect(() => requireMigrations({ expand: [drop], contract: [] })).toThrow(/DROP TABLE/);
    expect(() => requireMigrations({ expand: [], contract: [file("commit")] })).toThrow(
      /COMMIT is not allowed/,
    );
  });

  it("with an unknown directive, one without a reason, or a transaction of its own is refused by name", () => {
    expect(() => lintExpand([file("--! no-transactoin\nselect 1")])).toThrow(
      /line 1: "--! no-transactoin" is no/,
    );
    expect(() => lintExpand([file("--! allow-destructive\nselect 1")])).toThrow(/is no directive/);
    for (const command of ["begin", "COMMIT", "start transaction", "rollback", "end"]) {
      expect(() => lintExpand([file(`select 1;\n${command};`)])).toThrow(
        /0001_a\.sql, line 2: .* not allowed/,
      );
    }
    expect(lintExpand([file("savepoint a; rollback to a; rollback to savepoint a; release a")])).toEqual([]);
  });
});

describe("whatever stands in comments, strings, names and dollar quotes", () => {
  const bait = fc
    .array(fc.constantFrom("drop table a", ";", "truncate b", "'", '"', "$$", "$q$", "\\", "\n", "--", "é"), {
      maxLength: 8,
    })
    .map((parts) => parts.join(" "));
  const hidden = fc.oneof(
    bait.map((text) => `-- ${text.replaceAll("\n", " ")}\n`),
    bait.map((text) => `/* ${text} /* ${text} */ */`),
    bait.map((text) => `, '${text.replaceAll("'", "''")}'`),
    bait.map((text) => `, E'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`),
    bait.map((text) => `, "x${text.replaceAll('"', '""')}"`),
    bait.map((text) => `, $tag$${text}$tag$`),
    bait.map((text) => `, $$${text.replaceAll("$$", "")}$$`),
  );

  it("is no statement", () => {
    fc.assert(
      fc.property(fc.array(fc.array(hidden, { maxLength: 5 }), { maxLength: 5 }), (statements) => {
        const sql = statements.map((parts) => `select 1 ${parts.join(" ")} `).join(";\n");
        expect(lintExpand([file(sql)])).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it("hides no statement beside it", () => {
    fc.assert(
      fc.property(fc.array(hidden, { maxLength: 5 }), fc.array(hidden, { maxLength: 5 }), (before, after) => {
        const sql = `select 1 ${before.join(" ")} ;\ndrop table t; select 2 ${after.join(" ")}`;
        expect(severities(sql)).toEqual(["refuse"]);
      }),
      { numRuns: 500 },
    );
  });
});
