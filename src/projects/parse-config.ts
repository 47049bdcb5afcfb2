import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { type CheckRules, NO_RULES } from "../checks/index.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import { checkProblems } from "./check-problems.ts";
import { SignalboxConfig } from "./config.ts";
import { describeIssues } from "./config-issues.ts";

export const CONFIG_FILE = "signalbox.yaml";
export const MAX_CONFIG_BYTES = 256 * 1_024;
/** Aliases may stand for this many nodes in all; a "billion laughs" asks for more (default of `yaml`). */
const MAX_ALIASES = 100;
const MAX_PROBLEMS = 50;
/** Nesting that nobody writes by hand; the parser would run out of stack. */
const MAX_DEPTH = 64;

/** Line and column count from 1; `path` is dotted, empty for the whole file. */
export type ConfigProblem = {
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  readonly hint: string;
};

export type ParsedConfig =
  | { readonly ok: true; readonly config: SignalboxConfig }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/**
 * Reads `signalbox.yaml`: all of its problems at once, never an exception. An empty file is a valid one. `rules`: what
 * its checks may have in them.
 */
export function parseConfig(source: string, rules: CheckRules = NO_RULES): ParsedConfig {
  const size = Buffer.byteLength(source);
  if (size > MAX_CONFIG_BYTES) {
    return fileProblem(
      `The file has ${size} bytes; ${MAX_CONFIG_BYTES} are allowed.`,
      "Keep data out of it.",
    );
  }
  if (depthOf(source) > MAX_DEPTH) {
    return fileProblem(`The file nests deeper than ${MAX_DEPTH} levels.`, "Check its brackets and dashes.");
  }
  const lines = new LineCounter();
  try {
    const document = parseDocument(source, { lineCounter: lines, uniqueKeys: true, logLevel: "error" });
    const syntax = syntaxProblems(document, lines);
    if (syntax.length > 0) return { ok: false, problems: syntax };
    return checkData(document, lines, rules);
  } catch (error) {
    return fileProblem(
      `The file cannot be read: ${messageOf(error)}.`,
      "Simplify it; aliases are the usual cause.",
    );
  }
}

/** The configuration, or the error that tells all of its problems. `source` null: there is no file, so all defaults. */
export function requireConfig(source: string | null, rules: CheckRules = NO_RULES): SignalboxConfig {
  if (source === null) return {};
  const parsed = parseConfig(source, rules);
  if (parsed.ok) return parsed.config;
  const { problems } = parsed;
  const listed = problems
    .slice(0, 3)
    .map((problem) => `${problem.line}:${problem.column} ${problem.message}`);
  const more = problems.length > 3 ? `; and ${problems.length - 3} more` : "";
  throw new AppError("unprocessable", `${CONFIG_FILE} is not valid: ${listed.join("; ")}${more}.`, {
    hint: problems[0]?.hint ?? "Correct the file and deploy again.",
    details: problems,
  });
}

function syntaxProblems(document: Document, lines: LineCounter): ConfigProblem[] {
  return [...document.errors, ...document.warnings].slice(0, MAX_PROBLEMS).map((error) => {
    const { line, col } = lines.linePos(error.pos[0]);
    const [message = "is no YAML"] = error.message.split(/ at line \d+|\n/);
    return { line, column: col, path: "", message: message.replace(/:$/, ""), hint: syntaxHint(error.code) };
  });
}

function syntaxHint(code: string): string {
  if (code === "TAB_AS_INDENT") return "Indent with spaces; YAML allows no tabs there.";
  if (code === "DUPLICATE_KEY") return "Remove one of the two; only one could count.";
  if (code === "MULTIPLE_DOCS") return "Keep one document in the file; remove the --- line.";
  if (code === "BAD_INDENT") return "Line it up with its neighbours.";
  return "Compare the line with the example in the documentation; quote values with special characters.";
}

function checkData(document: Document, lines: LineCounter, rules: CheckRules): ParsedConfig {
  const data: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
  const result = SignalboxConfig.safeParse(data ?? {});
  const ofChecks = checkProblems(data, rules);
  if (result.success && ofChecks.length === 0) return { ok: true, config: result.data };
  const ofSchema = describeIssues((result.error?.issues ?? []) as z.core.$ZodIssue[], data);
  const problems = [...ofSchema, ...ofChecks]
    .map(({ path, atKey, message, hint }) => {
      const { line, col } = lines.linePos(offsetOf(document, path, atKey));
      return { line, column: col, path: path.join("."), message, hint };
    })
    .sort((a, b) => a.line - b.line || a.column - b.column);
  return { ok: false, problems: problems.slice(0, MAX_PROBLEMS) };
}

/** Where the value at `path` begins (or its key), or the nearest thing around it that is in the file. */
function offsetOf(document: Document, path: readonly PropertyKey[], atKey: boolean): number {
  let node: unknown = document.contents;
  let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
  for (const [index, segment] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (isSeq(node)) {
      node = node.items[Number(segment)];
    } else if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(segment));
      if (pair === undefined) return offset;
      const isLast = index === path.length - 1;
      const value: unknown = pair.value;
      // A missing value (`key:`) has no place of its own; its key has.
      const empty = !isNode(value) || (isScalar(value) && value.source === "");
      node = (isLast && atKey) || empty ? pair.key : value;
    }
    if (!isNode(node)) return offset;
    offset = node.range?.[0] ?? offset;
  }
  return offset;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

/** An upper bound of the nesting: flow brackets (wherever they stand), indentation steps and compact dashes. */
function depthOf(source: string): number {
  let brackets = 0;
  let deepest = 0;
  for (const line of source.split(/\r\n|\r|\n/)) {
    const dashes = /^[ \t]*((?:[-?:][ \t]+)*)/.exec(line)?.[1]?.replace(/[ \t]/g, "").length ?? 0;
    for (const char of line) {
      if (char === "[" || char === "{") brackets++;
      else if ((char === "]" || char === "}") && brackets > 0) brackets--;
      if (brackets > deepest) deepest = brackets;
    }
    if (dashes > deepest) deepest = dashes;
  }
  return deepest;
}

function fileProblem(message: string, hint: string): ParsedConfig {
  return { ok: false, problems: [{ line: 1, column: 1, path: "", message, hint }] };
}
