import { type AnswerHeaders, applyChanges, type Change } from "../../routing/index.ts";
import { mergeHeaders } from "./headers.ts";

/** What the routes say about an answer's headers. */
export type RouteHeaders = {
  readonly headers: AnswerHeaders;
  readonly important: AnswerHeaders;
  readonly responseChanges: readonly Change[];
};

/** Names and values in turn. */
export function flat(headers: AnswerHeaders): string[] {
  const list: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === "string" ? [value] : value) list.push(name, one);
  }
  return list;
}

/** `rule`: whose headers win, a function's own (`keep`) or, for what is no function, the routes' (`override`). */
export function withRouteHeaders(
  own: readonly string[],
  routed: RouteHeaders,
  rule: "keep" | "override",
): string[] {
  const merged = mergeHeaders(
    mergeHeaders(own, flat(routed.headers), rule),
    flat(routed.important),
    "override",
  );
  if (routed.responseChanges.length === 0) return merged;
  const entries: [string, string][] = [];
  for (let at = 0; at < merged.length; at += 2) entries.push([merged[at] ?? "", merged[at + 1] ?? ""]);
  return applyChanges(entries, routed.responseChanges).flat();
}
