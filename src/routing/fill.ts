import type { Pattern } from "./pcre.ts";

/** Text with `$1`, `$name` and `${name}` in it, split once. Strings are text, objects are names. */
export type Template = {
  readonly text: string;
  readonly parts: readonly (string | { readonly key: string })[] | null;
};

/** What may be filled in: the pattern's groups, then what conditions caught, then the host's `$wildcard`. */
export type Caught = {
  readonly match: RegExpExecArray;
  readonly pattern: Pattern;
  readonly conditions: Readonly<Record<string, string>> | null;
  readonly wildcard: string;
};

const PLACE = /\$(?:\{(\w+)\}|(\d+)|([A-Za-z_]\w*))/g;

export function parseTemplate(text: string): Template {
  if (!text.includes("$")) return { text, parts: null };
  const parts: (string | { key: string })[] = [];
  let at = 0;
  for (const place of text.matchAll(PLACE)) {
    if (place.index > at) parts.push(text.slice(at, place.index));
    parts.push({ key: place[1] ?? place[2] ?? place[3] ?? "" });
    at = place.index + place[0].length;
  }
  if (at < text.length) parts.push(text.slice(at));
  return { text, parts };
}

/** What nothing was caught for becomes nothing. */
export function fill({ text, parts }: Template, caught: Caught): string {
  if (parts === null) return text;
  let filled = "";
  for (const part of parts) filled += typeof part === "string" ? part : (caughtAs(caught, part.key) ?? "");
  return filled;
}

/**
 * In a transform, where a name that is none of a group stays as it is written. A group that caught nothing becomes
 * nothing.
 */
export function fillKnown({ text, parts }: Template, caught: Caught): string {
  if (parts === null) return text;
  let filled = "";
  for (const part of parts) {
    if (typeof part === "string") filled += part;
    else filled += caughtAs(caught, part.key) ?? (isGroup(caught, part.key) ? "" : `$${part.key}`);
  }
  return filled;
}

function isGroup({ match, pattern }: Caught, key: string): boolean {
  if (/^\d+$/.test(key)) return Number(key) < (pattern.numbers ?? match).length;
  return match.groups !== undefined && Object.hasOwn(match.groups, key);
}

/**
 * As part of a URL. The path that groups are of has its escapes; what a condition caught has none, and is data: a
 * `?` or `&` in a visitor's header adds no parameter.
 */
export function fillUrl(template: Template, caught: Caught): string {
  if (template.parts === null) return template.text;
  if (caught.conditions === null) return fill(template, caught);
  const conditions = Object.entries(caught.conditions).map(
    ([name, value]) => [name, escapeData(value)] as const,
  );
  return fill(template, { ...caught, conditions: Object.fromEntries(conditions) });
}

/**
 * As a redirect's target. `/$1` must not become `//evil.example` because a visitor wrote so: only the route's author
 * sends visitors to another host.
 */
export function fillLocation(template: Template, caught: Caught): string {
  const filled = fillUrl(template, caught);
  return template.text.startsWith("//") ? filled : filled.replace(/^[/\\]{2,}/, "/");
}

function escapeData(value: string): string {
  return value.replace(/[^!-~]+|[?#&%+"<>\\^`{|}]/g, (text) => encodeURIComponent(text.toWellFormed()));
}

const CARRIED = /^[\t -~]*$/;

/** As a header's value: what no header may carry is escaped. */
export function fillHeader(template: Template, caught: Caught): string {
  if (template.parts === null) return template.text;
  const filled = fill(template, caught);
  if (CARRIED.test(filled)) return filled;
  return filled.replace(/[^\t -~]+/g, (text) => encodeURIComponent(text.toWellFormed()));
}

function caughtAs({ match, pattern, conditions, wildcard }: Caught, key: string): string | undefined {
  const number = /^\d+$/.test(key) ? Number(key) : null;
  if (number !== null) return match[pattern.numbers === null ? number : (pattern.numbers[number] ?? -1)];
  if (match.groups !== undefined && Object.hasOwn(match.groups, key)) return match.groups[key];
  if (conditions !== null && Object.hasOwn(conditions, key)) return conditions[key];
  return key === "wildcard" ? wildcard : undefined;
}

/** All that a pattern and its conditions caught, by number and name. */
export function everythingCaught({ match, pattern, conditions }: Caught): Record<string, string> {
  const all: Record<string, string> = { ...conditions };
  const { numbers } = pattern;
  const count = (numbers ?? match).length;
  for (let number = 1; number < count; number++) {
    const value = match[numbers === null ? number : (numbers[number] ?? -1)];
    if (value !== undefined) all[number] = value;
  }
  if (match.groups === undefined) return all;
  for (const [name, value] of Object.entries(match.groups)) if (value !== undefined) all[name] = value;
  return all;
}
