/**
 * Enough of Postgres' lexer (its scan.l) to see where statements begin and which keywords they have: comments are left
 * out, and whatever stands in a string or a dollar quote is one token without a text.
 */
export type Token = {
  readonly kind: "word" | "name" | "string" | "symbol";
  /** A word in upper case, the name between double quotes, a symbol's character; empty for a string. */
  readonly text: string;
  /** Offsets into the SQL: the first character, and the one after the last. */
  readonly at: number;
  readonly end: number;
};

const SPACE = /\s+/y;
const LINE_COMMENT = /--[^\n\r]*/y;
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const NUMBER = /\d[\dA-Za-z_.]*/y;
const PLAIN_STRING = /'[^']*(?:''[^']*)*(?:'|$)/y;
const ESCAPE_STRING = /'[^'\\]*(?:(?:''|\\[\s\S])[^'\\]*)*(?:'|\\?$)/y;
const QUOTED_NAME = /"[^"]*(?:""[^"]*)*(?:"|$)/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
/** A string goes on after a line break, and one that began with E keeps its backslashes. */
const CONTINUED = /(?:[^\S\r\n]|--[^\n\r]*)*[\r\n](?:\s|--[^\n\r]*[\r\n])*(?=')/y;

export function scanSql(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < sql.length; ) {
    const skipped = match(SPACE, sql, at) ?? match(LINE_COMMENT, sql, at) ?? blockComment(sql, at);
    if (skipped !== null && skipped > at) {
      at = skipped;
      continue;
    }
    const token = readToken(sql, at);
    tokens.push(token);
    at = token.end;
  }
  return tokens;
}

function readToken(sql: string, at: number): Token {
  const word = match(WORD, sql, at);
  if (word !== null) {
    const text = sql.slice(at, word).toUpperCase();
    if (text === "E" && sql[word] === "'")
      return { kind: "string", text: "", at, end: escapeString(sql, word) };
    return { kind: "word", text, at, end: word };
  }
  const name = match(QUOTED_NAME, sql, at);
  if (name !== null) {
    return { kind: "name", text: sql.slice(at + 1, name - 1).replaceAll('""', '"'), at, end: name };
  }
  const string = match(PLAIN_STRING, sql, at) ?? dollarQuote(sql, at);
  if (string !== null) return { kind: "string", text: "", at, end: string };
  const number = match(NUMBER, sql, at);
  if (number !== null) return { kind: "symbol", text: "0", at, end: number };
  // A comment that is never closed: kept, so that the server says so.
  if (sql.startsWith("/*", at)) return { kind: "symbol", text: "/*", at, end: sql.length };
  return { kind: "symbol", text: sql[at] ?? "", at, end: at + 1 };
}

function match(expression: RegExp, sql: string, at: number): number | null {
  expression.lastIndex = at;
  return expression.test(sql) ? expression.lastIndex : null;
}

/** The end of a comment, which may have others in it; null when none begins here, or it is never closed. */
function blockComment(sql: string, at: number): number | null {
  if (!sql.startsWith("/*", at)) return null;
  let depth = 0;
  for (let here = at; here < sql.length; ) {
    if (sql.startsWith("/*", here)) {
      depth++;
      here += 2;
    } else if (sql.startsWith("*/", here)) {
      depth--;
      here += 2;
      if (depth === 0) return here;
    } else here++;
  }
  return null;
}

function escapeString(sql: string, at: number): number {
  let end = match(ESCAPE_STRING, sql, at) ?? sql.length;
  for (;;) {
    const next = match(CONTINUED, sql, end);
    if (next === null) return end;
    end = match(ESCAPE_STRING, sql, next) ?? sql.length;
  }
}

function dollarQuote(sql: string, at: number): number | null {
  const opened = match(DOLLAR_TAG, sql, at);
  if (opened === null) return null;
  const tag = sql.slice(at, opened);
  const closed = sql.indexOf(tag, opened);
  return closed === -1 ? sql.length : closed + tag.length;
}
