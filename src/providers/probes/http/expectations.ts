import type { Failure } from "../../../checks/model.ts";
import { failsJsonAssertion, type JsonAssertion, parseJsonAssertion } from "./json-path.ts";
import { matchPattern, tooSlow } from "./match-pattern.ts";
import type { HttpSettings } from "./settings.ts";

/** What an answer must be, prepared once for all rounds of a check. */
export type Expectations = {
  readonly statuses: readonly (readonly [from: number, to: number])[];
  readonly contains: readonly string[];
  readonly lacks: readonly string[];
  readonly matches: RegExp | null;
  readonly json: readonly { readonly text: string; readonly assertion: JsonAssertion }[];
  readonly headers: readonly { readonly name: string; readonly value: string | RegExp }[];
  /** False: nothing is asked of the body. */
  readonly needsBody: boolean;
};

export type Seen = {
  readonly status: number;
  /** Name and value alternating. */
  readonly headers: readonly string[];
  readonly body: Buffer;
};

export function prepareExpectations({ expect }: Pick<HttpSettings, "expect">): Expectations {
  const { status, headers = {} } = expect;
  const contains = listOf(expect.contains);
  const lacks = listOf(expect.lacks);
  const json = listOf(expect.json).flatMap((text) => {
    const assertion = parseJsonAssertion(text);
    return typeof assertion === "string" ? [] : [{ text, assertion }];
  });
  const matches = expect.matches === undefined ? null : new RegExp(expect.matches, "u");
  return {
    statuses: (Array.isArray(status) ? status : [status]).map(rangeOf),
    contains,
    lacks,
    matches,
    json,
    headers: Object.entries(headers).map(([name, value]) => ({
      name: name.toLowerCase(),
      value: typeof value === "string" ? value : new RegExp(value.matches, "u"),
    })),
    needsBody: contains.length + lacks.length + json.length > 0 || matches !== null,
  };
}

/** The first thing that is not as it must be. */
export function unmet(expected: Expectations, seen: Seen, where: string): Failure | null {
  return unmetStatus(expected, seen, where) ?? unmetHeader(expected, seen) ?? unmetBody(expected, seen);
}

function unmetStatus({ statuses }: Expectations, { status, headers }: Seen, where: string): Failure | null {
  if (statuses.some(([from, to]) => status >= from && status <= to)) return null;
  const wanted = statuses.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(", ");
  const isRedirect = status >= 300 && status < 400 && headerOf(headers, "location") !== null;
  const redirect = isRedirect ? "; it redirects, and `follow` says how many of these are followed" : "";
  return { class: "status", message: `${where} answered with status ${status}, not ${wanted}${redirect}.` };
}

function unmetHeader({ headers }: Expectations, seen: Seen): Failure | null {
  for (const { name, value } of headers) {
    const found = headerOf(seen.headers, name);
    if (found === null) return assertion(`the answer has no header ${name}`);
    if (typeof value === "string") {
      if (found !== value) return assertion(`the header ${name} is ${quoted(found)}, not ${quoted(value)}`);
      continue;
    }
    const matched = matchPattern(value, found);
    if (matched === "too slow") return { class: "unsupported", message: `${tooSlow(value)}.` };
    if (!matched) return assertion(`the header ${name} is ${quoted(found)}, which ${value} does not match`);
  }
  return null;
}

function unmetBody(expected: Expectations, { body, headers }: Seen): Failure | null {
  if (!expected.needsBody) return null;
  const coding = headerOf(headers, "content-encoding");
  if (coding !== null && coding !== "identity")
    return {
      class: "protocol",
      message: `The body is encoded (${quoted(coding)}), though that was refused.`,
    };
  const lacking = expected.contains.find((text) => !body.includes(text));
  if (lacking !== undefined) return assertion(`the body does not contain ${quoted(lacking)}`);
  const unwanted = expected.lacks.find((text) => body.includes(text));
  if (unwanted !== undefined) return assertion(`the body contains ${quoted(unwanted)}`);
  return unmatched(expected, body) ?? unmetJson(expected, body);
}

function unmatched({ matches }: Expectations, body: Buffer): Failure | null {
  if (matches === null) return null;
  const matched = matchPattern(matches, body.toString("utf8"));
  if (matched === "too slow") return { class: "unsupported", message: `${tooSlow(matches)}.` };
  return matched ? null : assertion(`${matches} does not match the body`);
}

function unmetJson({ json }: Expectations, body: Buffer): Failure | null {
  if (json.length === 0) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    return assertion(`the body is no JSON (${body.length} bytes)`);
  }
  for (const { text, assertion: asked } of json) {
    const reason = failsJsonAssertion(parsed, asked);
    if (reason !== null) return assertion(`${text} does not hold: ${reason}`);
  }
  return null;
}

function assertion(message: string): Failure {
  return { class: "assertion", message: `${message.charAt(0).toUpperCase()}${message.slice(1)}.` };
}

/** The first of that name. @param name in lower case */
export function headerOf(headers: readonly string[], name: string): string | null {
  for (let i = 0; i < headers.length; i += 2) {
    const each = headers[i] ?? "";
    if (each.length === name.length && each.toLowerCase() === name) return headers[i + 1] ?? "";
  }
  return null;
}

const QUOTED_LENGTH = 120;

function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text);
}

function rangeOf(status: number | string): readonly [number, number] {
  if (typeof status === "number") return [status, status];
  const [from = 0, to = 0] = status.split("-").map(Number);
  return [from, to];
}

function listOf<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value as T];
}
