import { type Pattern, translatePcre } from "./pcre.ts";
import { parametersOf } from "./query.ts";
import type { Comparison, Condition, Matchable } from "./route.ts";

/** What conditions are asked about: the request as the routes and middleware have left it. */
export type Asked = {
  readonly host: string;
  readonly query: string;
  readonly header: (name: string) => string | undefined;
};

export type CompiledCondition = {
  readonly type: Condition["type"];
  readonly key: string;
  readonly matches: (value: string, caught: Record<string, string>) => boolean;
};

/** @throws Error saying which pattern is not understood */
export function compileCondition(condition: Condition): CompiledCondition {
  const key = condition.type === "host" ? "" : condition.key;
  const matches = condition.value === undefined ? () => true : matcherOf(condition.value, condition.type);
  return { type: condition.type, key: condition.type === "header" ? key.toLowerCase() : key, matches };
}

/** Null when one does not hold; else what their named groups caught, and each value under its key's letters. */
export function allHold(
  conditions: readonly CompiledCondition[],
  asked: Asked,
): Record<string, string> | null {
  const caught: Record<string, string> = {};
  for (const condition of conditions) {
    const held = valuesOf(condition, asked).find((value) => condition.matches(value, caught));
    if (held === undefined) return null;
    // So that `/:page` of a condition on the parameter `page` can be used: the build writes it as `$page`.
    const name = condition.key.replace(/[^A-Za-z]/g, "");
    if (name !== "" && !Object.hasOwn(caught, name)) caught[name] = held;
  }
  return caught;
}

export function anyHolds(conditions: readonly CompiledCondition[], asked: Asked): boolean {
  return conditions.some((condition) =>
    valuesOf(condition, asked).some((value) => condition.matches(value, {})),
  );
}

function valuesOf({ type, key }: CompiledCondition, asked: Asked): string[] {
  if (type === "host") return [asked.host];
  if (type === "query")
    return parametersOf(asked.query).flatMap(([name, value]) => (name === key ? [value] : []));
  const value = type === "header" ? asked.header(key) : cookieOf(asked.header("cookie") ?? "", key);
  return value === undefined ? [] : [value];
}

/** The first cookie of that name, as sent. */
export function cookieOf(header: string, name: string): string | undefined {
  for (const part of header.split(";")) {
    const mark = part.indexOf("=");
    if (mark !== -1 && part.slice(0, mark).trim() === name) return part.slice(mark + 1).trim();
  }
  return undefined;
}

function matcherOf(value: Matchable, type: Condition["type"]): CompiledCondition["matches"] {
  // Host names have no case; the request's is lower case.
  if (typeof value === "string") return patternMatcher(value, type !== "host");
  const { re, ...rest } = value;
  const compares = comparison(rest);
  if (re === undefined) return (actual) => compares(actual);
  const pattern = patternMatcher(re, type !== "host");
  return (actual, caught) => compares(actual) && pattern(actual, caught);
}

/** The whole value, with case, as a pattern or as it is: a value like `a+b` may be meant so. */
function patternMatcher(source: string, caseSensitive: boolean): CompiledCondition["matches"] {
  const { regexp }: Pattern = translatePcre(`^(?:${source})$`, caseSensitive);
  return (actual, caught) => {
    const match = regexp.exec(actual);
    for (const [name, value] of Object.entries(match?.groups ?? {})) if (value) caught[name] = value;
    return match !== null || actual === source;
  };
}

/** All that the object names must hold. Numbers are compared as numbers; what is none is never more or less. */
export function comparison(rule: Omit<Comparison, "re">): (actual: string) => boolean {
  const { eq, neq, inc, ninc, pre, suf, gt, gte, lt, lte } = rule;
  const isIn = (list: readonly (string | number)[], actual: string) =>
    list.some((one) => String(one) === actual);
  return (actual) =>
    (eq === undefined || actual === String(eq)) &&
    (neq === undefined || actual !== String(neq)) &&
    (inc === undefined || isIn(inc, actual)) &&
    (ninc === undefined || !isIn(ninc, actual)) &&
    (pre === undefined || actual.startsWith(pre)) &&
    (suf === undefined || actual.endsWith(suf)) &&
    (gt === undefined || numberOf(actual) > gt) &&
    (gte === undefined || numberOf(actual) >= gte) &&
    (lt === undefined || numberOf(actual) < lt) &&
    (lte === undefined || numberOf(actual) <= lte);
}

const numberOf = (text: string) => (text.trim() === "" ? Number.NaN : Number(text));
