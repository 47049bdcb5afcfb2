import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { splitStatements } from "./statements.ts";
import { scanSql } from "./tokens.ts";

const words = (sql: string) => scanSql(sql).map(({ kind, text }) => (kind === "string" ? "'" : text));
const texts = (sql: string) => splitStatements(sql).map(({ text }) => text);

describe("the scanner", () => {
  it.each([
    ["select 1 -- drop table a;\n;", ["SELECT", "0", ";"]],
    ["/* a /* drop */ b; */ x", ["X"]],
    ["'it''s; drop'", ["'"]],
    ["E'a\\'; drop' x", ["'", "X"]],
    ["e'a'\n'\\'b' x", ["'", "X"]],
    ["e'a' -- c\n'\\'b' x", ["'", "X"]],
    ["e'\\\\' x", ["'", "X"]],
    ["'\\' x '", ["'", "X", "'"]],
    ['"a""; drop" x', ['a"; drop', "X"]],
    ["$$a; $x$ b$$ x", ["'", "X"]],
    ["$x$a; $$ b$x$ x", ["'", "X"]],
    ["a$b$ c", ["A$B$", "C"]],
    ["$1$2", ["$", "0", "$", "0"]],
    ["1e5::int", ["0", ":", ":", "INT"]],
    ["/* never closed; x", ["/*"]],
    ["'never closed; x", ["'"]],
    ["\uFEFFselect", ["SELECT"]],
  ])("reads %j", (sql, expected) => {
    expect(words(sql)).toEqual(expected);
  });

  it("covers any text: tokens follow one another, and between them is only space and comments", () => {
    const piece = fc.constantFrom(
      "'",
      '"',
      "$$",
      "$a$",
      "--",
      "/*",
      "*/",
      "\n",
      " ",
      ";",
      "e",
      "E'",
      "\\",
      "(",
      "é",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const sql = pieces.join("");
        let end = 0;
        for (const token of scanSql(sql)) {
          expect(token.at).toBeGreaterThanOrEqual(end);
          expect(token.end).toBeGreaterThan(token.at);
          expect(sql.slice(end, token.at)).toMatch(/^(\s|--[^\n\r]*|\/\*[\s\S]*\*\/)*$/);
          end = token.end;
        }
        expect(end).toBeLessThanOrEqual(sql.length);
      }),
      { numRuns: 2_000 },
    );
  });

  it("reads a megabyte of one string", () => {
    expect(words(`select '${"a''b".repeat(300_000)}'`)).toEqual(["SELECT", "'"]);
  });
});

describe("statements", () => {
  it.each([
    ["a; b;;\n-- c\n;d", ["a", "b", "d"]],
    ["create rule r as on insert to t do (a; b); c", ["create rule r as on insert to t do (a; b)", "c"]],
    [
      "create or replace function f() returns int begin atomic select case when a then 1 end; select 2; end; b",
      [
        "create or replace function f() returns int begin atomic select case when a then 1 end; select 2; end",
        "b",
      ],
    ],
    ["create table begin_at (a int); b", ["create table begin_at (a int)", "b"]],
    ["do $$ begin drop table a; end $$; b", ["do $$ begin drop table a; end $$", "b"]],
    ["a ) ; b", ["a )", "b"]],
    ["-- nothing", []],
  ])("of %j", (sql, expected) => {
    expect(texts(sql)).toEqual(expected);
  });

  it("know their line", () => {
    expect(splitStatements("a;\n\n-- x\n  b\n;c").map(({ line }) => line)).toEqual([1, 4, 5]);
  });
});
