import { AppError } from "../foundation/errors.ts";
import type { MigrationFile, Phase } from "./migrator.ts";
import { type ParsedMigration, parseMigration, type Statement } from "./statements.ts";
import type { Token } from "./tokens.ts";

export type Finding = {
  readonly file: string;
  readonly line: number;
  /** `refuse`: not run, unless the file begins with `--! allow-destructive: <why>`, which makes it a warning. */
  readonly severity: "refuse" | "warn";
  /** What the statement does, and what of it the release that still serves would suffer. */
  readonly message: string;
};

type Problem = Pick<Finding, "severity" | "message">;

/** Dropping these takes nothing away that an app reads or writes. */
const HARMLESS_DROPS = new Set(["INDEX", "STATISTICS", "TRIGGER", "POLICY", "RULE"]);
/** What gives a new column a value without the insert's help. */
const FILLED = /^(?:DEFAULT|GENERATED|(?:SMALL|BIG)?SERIAL\d?)$/;
const TWO_WORDS = new Set(["MATERIALIZED", "FOREIGN", "EVENT"]);

/**
 * What in expand files would hurt the release that serves while they run, and until the new one has all traffic.
 * Pure. What stands in strings and dollar quotes (dynamic SQL, bodies of functions) is not looked into.
 * @throws AppError as `parseMigration`.
 */
export function lintExpand(files: readonly MigrationFile[]): Finding[] {
  return files.flatMap((file) => {
    const parsed = parseMigration(file);
    const made = tablesMade(parsed);
    return parsed.statements.flatMap((statement) =>
      judge(statement, made).map((problem) => toFinding(parsed, statement, problem)),
    );
  });
}

/** @throws AppError `unprocessable` with every destructive statement. @returns the warnings. */
export function requireExpand(files: readonly MigrationFile[]): Finding[] {
  const findings = lintExpand(files);
  const refused = findings.filter(({ severity }) => severity === "refuse");
  const [first] = refused;
  if (!first) return findings;
  const more = refused.length > 1 ? ` (and ${refused.length - 1} more)` : "";
  throw new AppError("unprocessable", `${first.file}, line ${first.line}: ${first.message}${more}`, {
    hint:
      "Move it to a contract file, which runs once the old release is gone; or begin the file with " +
      "`--! allow-destructive: <why>` if nothing that serves needs it.",
    details: refused,
  });
}

/**
 * Everything about a commit's migrations that can be said without the database.
 * @throws AppError `unprocessable`, as `requireExpand` and `parseMigration`. @returns the warnings.
 */
export function requireMigrations(files: Readonly<Record<Phase, readonly MigrationFile[]>>): Finding[] {
  files.contract.forEach(parseMigration);
  return requireExpand(files.expand);
}

function toFinding(parsed: ParsedMigration, { line }: Statement, problem: Problem): Finding {
  const at = { file: parsed.file.name, line };
  const { allowDestructive: reason } = parsed;
  if (problem.severity === "warn" || reason === null) return { ...at, ...problem };
  return { ...at, severity: "warn", message: `${problem.message} Allowed by the file: ${reason}` };
}

function judge({ tokens }: Statement, made: ReadonlySet<string>): Problem[] {
  const [first, second] = [wordAt(tokens, 0), wordAt(tokens, 1)];
  switch (first) {
    case "DROP":
      return HARMLESS_DROPS.has(second) ? [] : [refuse(`DROP ${second} takes away what may be in use.`)];
    case "TRUNCATE":
      return [refuse("TRUNCATE deletes every row.")];
    case "ALTER":
      return judgeAlter(tokens, made);
    case "CREATE":
      return judgeIndex(tokens, made);
    case "DELETE":
    case "UPDATE":
      if (hasWord(tokens, "WHERE")) return [];
      return [
        warn(`${first} without WHERE touches every row, and locks each of them until the file is done.`),
      ];
    default:
      return [];
  }
}

function judgeAlter(tokens: readonly Token[], made: ReadonlySet<string>): Problem[] {
  const object = TWO_WORDS.has(wordAt(tokens, 1)) ? wordAt(tokens, 2) : wordAt(tokens, 1);
  const { table, rest } = afterName(tokens, TWO_WORDS.has(wordAt(tokens, 1)) ? 3 : 2);
  const isNew = made.has(table);
  return actionsOf(rest).flatMap((action): Problem[] => {
    const [first, second] = [wordAt(action, 0), wordAt(action, 1)];
    if (first === "RENAME" && object !== "INDEX" && second !== "CONSTRAINT") {
      return [refuse(`ALTER ${object} … RENAME takes the old name away from the release that serves.`)];
    }
    if (first === "DETACH") return [refuse("DETACH PARTITION takes the partition's rows out of the table.")];
    if (first === "SET" && second === "SCHEMA")
      return [refuse(`ALTER ${object} … SET SCHEMA moves it away.`)];
    if (first === "DROP" && (object === "TABLE" || second === "ATTRIBUTE") && second !== "CONSTRAINT") {
      return [
        refuse(`ALTER ${object} … DROP COLUMN takes away what the release that serves may read or write.`),
      ];
    }
    if (object !== "TABLE" || isNew) return [];
    if (first === "ALTER") return judgeColumn(action);
    if (first === "ADD") return judgeAddition(action, second);
    return [];
  });
}

function judgeColumn(action: readonly Token[]): Problem[] {
  const change = action.slice(wordAt(action, 1) === "COLUMN" ? 3 : 2);
  const [first, second] = [wordAt(change, 0), wordAt(change, 1)];
  if (first === "TYPE" || (first === "SET" && second === "DATA"))
    return [warn("ALTER COLUMN … TYPE may rewrite the table under a lock that stops reads and writes.")];
  if (first === "SET" && second === "NOT")
    return [
      warn("SET NOT NULL reads the whole table under a lock, and fails inserts that leave the column out."),
    ];
  if (first === "DROP" && second === "DEFAULT")
    return [warn("DROP DEFAULT changes what inserts of the release that serves write.")];
  return [];
}

function judgeAddition(action: readonly Token[], second: string): Problem[] {
  const kind = second === "CONSTRAINT" ? wordAt(action, 3) : second;
  if (["CHECK", "FOREIGN", "EXCLUDE"].includes(kind) && second !== "COLUMN") {
    const deferred = hasWord(action, "VALID");
    return deferred ? [] : [warn(`ADD ${kind} without NOT VALID reads the whole table under a lock.`)];
  }
  if (["UNIQUE", "PRIMARY"].includes(kind)) {
    const prepared = hasWord(action, "USING");
    return prepared ? [] : [warn(`ADD ${kind} without USING INDEX builds an index while writes wait.`)];
  }
  if (second === "CONSTRAINT") return [];
  const filled = action.some(({ kind, text }) => kind === "word" && FILLED.test(text));
  const needed = action.some((token, at) => isWord(token, "NOT") && wordAt(action, at + 1) === "NULL");
  if (!needed || filled) return [];
  return [
    warn("ADD COLUMN … NOT NULL without DEFAULT fails where there are rows, and inserts that leave it out."),
  ];
}

function judgeIndex(tokens: readonly Token[], made: ReadonlySet<string>): Problem[] {
  if (wordAt(tokens, wordAt(tokens, 1) === "UNIQUE" ? 2 : 1) !== "INDEX") return [];
  if (hasWord(tokens, "CONCURRENTLY")) return [];
  const on = tokens.findIndex((token) => isWord(token, "ON"));
  if (on !== -1 && made.has(afterName(tokens, on + 1).table)) return [];
  return [
    warn(
      "CREATE INDEX makes writes wait until it is built; CONCURRENTLY does not (with `--! no-transaction`).",
    ),
  ];
}

/** Tables that the file itself makes: nobody uses them yet. */
function tablesMade({ statements }: ParsedMigration): Set<string> {
  const made = new Set<string>();
  for (const { tokens } of statements) {
    if (wordAt(tokens, 0) !== "CREATE") continue;
    const at = tokens.slice(0, 4).findIndex((token) => isWord(token, "TABLE"));
    if (at !== -1) made.add(afterName(tokens, at + 1).table);
  }
  return made;
}

/** A qualified name from `at` on, `if [not] exists` and `only` before it left out, and what follows it. */
function afterName(tokens: readonly Token[], at: number): { table: string; rest: readonly Token[] } {
  let here = at;
  while (["IF", "NOT", "EXISTS", "ONLY"].includes(wordAt(tokens, here))) here++;
  while (tokens[here + 1]?.text === "." && tokens[here + 1]?.kind === "symbol") here += 2;
  const last = tokens[here];
  const table = last?.kind === "word" ? last.text.toLowerCase() : (last?.text ?? "");
  return { table, rest: tokens.slice(here + 1) };
}

/** The parts of an ALTER, by commas outside parentheses; arguments of a routine's name are no part. */
function actionsOf(tokens: readonly Token[]): Token[][] {
  const actions: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    const symbol = token.kind === "symbol" ? token.text : "";
    if (symbol === ")") depth--;
    if (depth === 0 && symbol === ",") actions.push([]);
    else if (depth === 0 && !["(", ")", "*"].includes(symbol)) actions.at(-1)?.push(token);
    if (symbol === "(") depth++;
  }
  return actions;
}

function wordAt(tokens: readonly Token[], at: number): string {
  const token = tokens[at];
  return token?.kind === "word" ? token.text : "";
}

function isWord(token: Token, text: string): boolean {
  return token.kind === "word" && token.text === text;
}

function hasWord(tokens: readonly Token[], text: string): boolean {
  return tokens.some((token) => isWord(token, text));
}

function refuse(message: string): Problem {
  return { severity: "refuse", message };
}

function warn(message: string): Problem {
  return { severity: "warn", message };
}
