import { comparison } from "./conditions.ts";
import { type Caught, fillKnown, parseTemplate, type Template } from "./fill.ts";
import type { Transform } from "./route.ts";
import type { Change } from "./routed.ts";

type Entries = readonly (readonly [name: string, value: string])[];

/** A transform whose arguments are still to be filled in. */
export type CompiledTransform =
  | { readonly type: "request.path"; readonly path: Template }
  | {
      readonly type: Exclude<Transform["type"], "request.path">;
      readonly op: Change["op"];
      readonly key: Template | ((name: string) => boolean);
      readonly values: readonly Template[];
    };

/** @throws Error for a transform that does nothing that is known */
export function compileTransform(transform: Transform): CompiledTransform {
  if (transform.type === "request.path") return { type: "request.path", path: parseTemplate(transform.args) };
  if (!["request.headers", "request.query", "response.headers"].includes(transform.type))
    throw new Error(`the transform "${String(transform.type)}" is not known`);
  if (!["set", "append", "delete"].includes(transform.op))
    throw new Error(`the transform's op "${String(transform.op)}" is not known`);
  const { key } = transform.target;
  const args = transform.args ?? [];
  return {
    type: transform.type,
    op: transform.op,
    key: typeof key === "string" ? parseTemplate(key) : nameMatcher(key),
    values: (typeof args === "string" ? [args] : args).map(parseTemplate),
  };
}

function nameMatcher(rule: Parameters<typeof comparison>[0]): (name: string) => boolean {
  const lower = (value: unknown): unknown =>
    Array.isArray(value) ? value.map(lower) : typeof value === "string" ? value.toLowerCase() : value;
  const matches = comparison(
    Object.fromEntries(Object.entries(rule).map(([op, value]) => [op, lower(value)])),
  );
  return (name) => matches(name.toLowerCase());
}

const NAME = /^[-\w]+$/;
// What a header may carry when a visitor's own words are filled in. The build's schema allows the same.
const VALUE = /^[-\w:;.,/\\"'?!(){}[\]@<>=+*#$&`|~%^ ]+$/;

/** Null for what would be no header: such a change is not made. */
export function changeOf(
  transform: Exclude<CompiledTransform, { type: "request.path" }>,
  caught: Caught,
): Change | null {
  const isHeader = transform.type !== "request.query";
  const filled = typeof transform.key === "function" ? transform.key : fillKnown(transform.key, caught);
  const key = isHeader && typeof filled === "string" ? filled.toLowerCase() : filled;
  const values = transform.values.map((value) => fillKnown(value, caught));
  if (transform.op !== "delete") {
    if (values.length === 0 || values.every((value) => value === "")) return null;
    if (isHeader && typeof key === "string" && !NAME.test(key)) return null;
    if (isHeader && !values.every((value) => VALUE.test(value))) return null;
  }
  return { op: transform.op, key, values };
}

/** The path that a function is to see; null for one that is no path of this host. */
export function seenPathOf(template: Template, caught: Caught): string | null {
  const path = fillKnown(template, caught);
  return path.length <= 2048 && /^\/(?!\/)[^?#\s\p{Cc}]*$/u.test(path) ? path : null;
}

/**
 * Makes changes to headers or parameters, in order. Names are compared without regard to case. A header that lists
 * values (`a, b`) is taken apart when single values of it are deleted; parameters are not.
 */
export function applyChanges(
  entries: Entries,
  changes: readonly Change[],
  what: "headers" | "parameters" = "headers",
): [name: string, value: string][] {
  let now = entries.map(([name, value]): [string, string] => [name, value]);
  for (const change of changes) now = applyChange(now, change, what);
  return now;
}

function applyChange(entries: [string, string][], change: Change, what: string): [string, string][] {
  const { key, op, values } = change;
  const wanted = typeof key === "string" ? key.toLowerCase() : null;
  const isMeant = (name: string) =>
    wanted === null ? (key as (name: string) => boolean)(name) : name.toLowerCase() === wanted;
  if (op === "delete")
    return entries.flatMap((entry) => (isMeant(entry[0]) ? left(entry, values, what) : [entry]));
  const names = [...new Set(entries.map(([name]) => name).filter(isMeant))];
  if (names.length === 0 && typeof key === "string") names.push(key);
  const made = names.flatMap((name) => values.map((value): [string, string] => [name, value]));
  return [...(op === "set" ? entries.filter(([name]) => !isMeant(name)) : entries), ...made];
}

function left([name, value]: [string, string], deleted: readonly string[], what: string): [string, string][] {
  if (deleted.length === 0) return [];
  const gone = deleted.map((one) => one.toLowerCase());
  const list =
    what === "headers" && name.toLowerCase() !== "set-cookie"
      ? value.split(",").map((one) => one.trim())
      : [value];
  const kept = list.filter((one) => !gone.includes(one.toLowerCase()));
  if (kept.length === list.length) return [[name, value]];
  return kept.length === 0 ? [] : [[name, kept.join(", ")]];
}
