import { AppError } from "../foundation/errors.ts";
import type { MigrationFile } from "./migrator.ts";
import { scanSql, type Token } from "./tokens.ts";

export type Statement = {
  /** Without the semicolon and without comments around it. */
  readonly text: string;
  /** Offset of its first character in the file. */
  readonly at: number;
  /** Line of its first character, from 1. */
  readonly line: number;
  readonly tokens: readonly Token[];
};

export type ParsedMigration = {
  readonly file: MigrationFile;
  /** `--! no-transaction`: its statements run one by one, each for itself. */
  readonly noTransaction: boolean;
  /** The reason of `--! allow-destructive: …`. */
  readonly allowDestructive: string | null;
  readonly statements: readonly Statement[];
};

/**
 * A file as what to run: the directives of its first comment lines, and its statements.
 * @throws AppError `unprocessable` for a directive that there is not, and for statements that end our transaction.
 */
export function parseMigration(file: MigrationFile): ParsedMigration {
  const directives = readDirectives(file);
  const statements = splitStatements(file.sql);
  for (const statement of statements) {
    const command = transactionCommand(statement.tokens);
    if (command === null) continue;
    throw new AppError("unprocessable", `${file.name}, line ${statement.line}: ${command} is not allowed.`, {
      hint: "Leave it out: each file runs in a transaction of its own, together with the record that it was applied.",
    });
  }
  return { file, ...directives, statements };
}

/** Splits as psql does: at semicolons outside parentheses and outside `begin atomic … end` bodies. */
export function splitStatements(sql: string): Statement[] {
  const statements: Statement[] = [];
  let tokens: Token[] = [];
  let parentheses = 0;
  let blocks = 0;
  const finish = () => {
    const [first, last] = [tokens[0], tokens.at(-1)];
    if (first && last) {
      const text = sql.slice(first.at, last.end);
      statements.push({ text, at: first.at, line: lineAt(sql, first.at), tokens });
    }
    tokens = [];
    parentheses = 0;
    blocks = 0;
  };
  for (const token of scanSql(sql)) {
    if (token.kind === "symbol" && token.text === ";" && parentheses === 0 && blocks === 0) {
      finish();
      continue;
    }
    tokens.push(token);
    if (token.kind === "symbol" && token.text === "(") parentheses++;
    else if (token.kind === "symbol" && token.text === ")") parentheses = Math.max(0, parentheses - 1);
    else if (token.kind === "word" && parentheses === 0 && makesRoutine(tokens))
      blocks += blockStep(token, blocks);
  }
  finish();
  return statements;
}

/** Line of an offset, from 1. */
export function lineAt(sql: string, offset: number): number {
  let line = 1;
  for (let at = sql.indexOf("\n"); at !== -1 && at < offset; at = sql.indexOf("\n", at + 1)) line++;
  return line;
}

function makesRoutine(tokens: readonly Token[]): boolean {
  const words = tokens.slice(0, 4).map(({ text }) => text);
  const kind = words[1] === "OR" ? words[3] : words[1];
  return words[0] === "CREATE" && (kind === "FUNCTION" || kind === "PROCEDURE");
}

function blockStep({ text }: Token, blocks: number): number {
  if (text === "BEGIN" || (text === "CASE" && blocks > 0)) return 1;
  return text === "END" && blocks > 0 ? -1 : 0;
}

/** The words of a statement that begins or ends a transaction; null for every other. */
function transactionCommand(tokens: readonly Token[]): string | null {
  const [first, second, third] = tokens.map((token) => (token.kind === "word" ? token.text : ""));
  if (first === undefined) return null;
  if (["BEGIN", "COMMIT", "END", "ABORT"].includes(first)) return first;
  if (first === "START" || (first === "PREPARE" && second === "TRANSACTION")) return `${first} TRANSACTION`;
  if (first !== "ROLLBACK") return null;
  // Back to a savepoint stays within.
  return second === "TO" || third === "TO" ? null : first;
}

function readDirectives(file: MigrationFile): Pick<ParsedMigration, "noTransaction" | "allowDestructive"> {
  let noTransaction = false;
  let allowDestructive: string | null = null;
  const lines = file.sql.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (line.trim() !== "" && !line.startsWith("--")) break;
    if (!line.startsWith("--!")) continue;
    const [, name, value] = /^--!\s*([\w-]+)(?::\s*(.*\S))?\s*$/.exec(line) ?? [];
    if (name === "no-transaction" && value === undefined) noTransaction = true;
    else if (name === "allow-destructive" && value !== undefined) allowDestructive = value;
    else throw unknownDirective(file, index + 1, line);
  }
  return { noTransaction, allowDestructive };
}

function unknownDirective(file: MigrationFile, line: number, text: string): AppError {
  return new AppError(
    "unprocessable",
    `${file.name}, line ${line}: "${text.slice(0, 80)}" is no directive.`,
    {
      hint: "There are `--! no-transaction` and `--! allow-destructive: <why>`.",
    },
  );
}
