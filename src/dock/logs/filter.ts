import { AppError } from "../../foundation/errors.ts";

/**
 * The filter language of the observability API, as far as the official CLI writes it and documents it:
 * `field:value`, `field:(a OR b)`, `field:*part*`, `field:*` (present), `= != > >= < <=`, AND, OR, NOT, parentheses.
 */
export type Filter = (record: Readonly<Record<string, unknown>>) => boolean;

/** @throws AppError `bad_request` that says where the text stops making sense. */
export function parseFilter(text: string): Filter {
  const tokens = tokenise(text);
  const parser: Parser = { tokens, at: 0, text };
  const filter = either(parser);
  if (parser.at < tokens.length) throw unexpected(parser);
  return filter;
}

type Token = { readonly kind: "word" | "text" | "sign"; readonly value: string };
type Parser = { readonly tokens: readonly Token[]; at: number; readonly text: string };

const TOKEN = /\s*(?:"((?:[^"\\]|\\.)*)"|(!=|>=|<=|[:=<>()])|([^\s"()=!<>:]+))/y;

function tokenise(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim() !== "") {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw bad(`is not understood from "${text.slice(start, start + 40)}" on`);
    const [, quoted, sign, word] = match;
    if (quoted !== undefined) tokens.push({ kind: "text", value: quoted.replace(/\\(.)/g, "$1") });
    else if (sign !== undefined) tokens.push({ kind: "sign", value: sign });
    else tokens.push({ kind: "word", value: word ?? "" });
  }
  return tokens;
}

function either(parser: Parser): Filter {
  let left = all(parser);
  while (takeWord(parser, "OR")) {
    const [first, second] = [left, all(parser)];
    left = (record) => first(record) || second(record);
  }
  return left;
}

function all(parser: Parser): Filter {
  let left = one(parser);
  for (;;) {
    const explicit = takeWord(parser, "AND");
    const next = parser.tokens[parser.at];
    if (!explicit && (next === undefined || next.value === ")" || isWord(next, "OR"))) return left;
    const [first, second] = [left, one(parser)];
    left = (record) => first(record) && second(record);
  }
}

function one(parser: Parser): Filter {
  if (takeWord(parser, "NOT")) {
    const inner = one(parser);
    return (record) => !inner(record);
  }
  if (takeSign(parser, "(")) {
    const inner = either(parser);
    if (!takeSign(parser, ")")) throw unexpected(parser);
    return inner;
  }
  return comparison(parser);
}

function comparison(parser: Parser): Filter {
  const field = parser.tokens[parser.at];
  if (field?.kind !== "word") throw unexpected(parser);
  parser.at += 1;
  const sign = parser.tokens[parser.at];
  if (sign?.kind !== "sign" || sign.value === "(" || sign.value === ")") throw unexpected(parser);
  parser.at += 1;
  const choices = values(parser);
  const test = (record: Readonly<Record<string, unknown>>) =>
    choices.some((choice) => compare(record[field.value], sign.value, choice));
  if (sign.value !== "!=") return test;
  return (record) => choices.every((choice) => !compare(record[field.value], "=", choice));
}

function values(parser: Parser): Token[] {
  const first = parser.tokens[parser.at];
  if (first === undefined) throw unexpected(parser);
  parser.at += 1;
  if (first.kind !== "sign") return [first];
  if (first.value !== "(") throw unexpected(parser, parser.at - 1);
  const found: Token[] = [];
  do {
    const value = parser.tokens[parser.at];
    if (value === undefined || value.kind === "sign") throw unexpected(parser);
    found.push(value);
    parser.at += 1;
  } while (takeWord(parser, "OR"));
  if (!takeSign(parser, ")")) throw unexpected(parser);
  return found;
}

function compare(actual: unknown, sign: string, wanted: Token): boolean {
  const missing = actual === undefined || actual === null || actual === "";
  if (sign === ":" || sign === "=") {
    if (wanted.kind === "text" || !wanted.value.includes("*")) return String(actual ?? "") === wanted.value;
    return !missing && matchesPattern(String(actual), wanted.value.split("*"));
  }
  if (missing) return false;
  const [a, b] = [Number(actual), Number(wanted.value)];
  if (sign === ">") return a > b;
  if (sign === ">=") return a >= b;
  return sign === "<" ? a < b : a <= b;
}

/** The parts in order, the first at the start and the last at the end. Not by a RegExp: many stars would be slow. */
function matchesPattern(text: string, parts: readonly string[]): boolean {
  const [first = "", last = ""] = [parts[0], parts.at(-1)];
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
    return false;
  let from = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, from);
    if (found === -1 || found + part.length > text.length - last.length) return false;
    from = found + part.length;
  }
  return true;
}

function takeWord(parser: Parser, word: string): boolean {
  const token = parser.tokens[parser.at];
  if (!token || !isWord(token, word)) return false;
  parser.at += 1;
  return true;
}

function isWord(token: Token, word: string): boolean {
  return token.kind === "word" && token.value.toUpperCase() === word;
}

function takeSign(parser: Parser, sign: string): boolean {
  const token = parser.tokens[parser.at];
  if (token?.kind !== "sign" || token.value !== sign) return false;
  parser.at += 1;
  return true;
}

function unexpected(parser: Parser, at = parser.at): AppError {
  const token = parser.tokens[at];
  return bad(token ? `does not expect "${token.value.slice(0, 40)}" where it is` : "ends too early");
}

function bad(what: string): AppError {
  return new AppError("bad_request", `The filter ${what}.`, {
    hint: 'Write field:value, field:(a OR b) or field >= 500, joined by AND, OR and NOT; quote "values with spaces".',
  });
}
