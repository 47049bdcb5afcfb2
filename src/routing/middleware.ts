import { type Destination, parseDestination } from "./path.ts";
import type { Change, MiddlewareAnswer } from "./routed.ts";

/** What a middleware wants to happen. Source: the headers that `@vercel/edge` and Next.js answer with. */
export type Verdict = {
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly requestChanges: readonly Change[];
} & (
  | { readonly kind: "next" }
  | { readonly kind: "rewrite"; readonly to: Destination }
  /** A redirect, or a page of its own. */
  | { readonly kind: "response" }
);

export function readMiddleware(answer: MiddlewareAnswer, host: string): Verdict {
  const own = new Map<string, string>();
  const headers: [string, string][] = [];
  for (const [spelling, value] of answer.headers) {
    const name = spelling.toLowerCase();
    if (OWN.test(name)) own.set(name, value);
    else headers.push([name, value]);
  }
  const requestChanges = overrides(own);
  const rewrite = own.get("x-middleware-rewrite");
  const passes = rewrite !== undefined || own.get("x-middleware-next") === "1";
  if (!passes) return { kind: "response", headers, requestChanges };
  const kept = headers.filter(([name]) => !OF_THE_BODY.has(name));
  if (rewrite === undefined) return { kind: "next", headers: kept, requestChanges };
  return { kind: "rewrite", to: relativeTo(host, rewrite), headers: kept, requestChanges };
}

const OWN = /^x-middleware-(?:next$|rewrite$|override-headers$|request-)/;
// They describe the body of the middleware's answer, which is not sent.
const OF_THE_BODY = new Set([
  "content-length",
  "content-type",
  "content-encoding",
  "transfer-encoding",
  "connection",
  "date",
]);

/** An absolute URL of this very host is a path. */
function relativeTo(host: string, rewrite: string): Destination {
  const absolute = /^https?:\/\/([^/?#:]+)(?::\d+)?(.*)$/i.exec(rewrite);
  return parseDestination(
    absolute !== null && absolute[1]?.toLowerCase() === host ? absolute[2] || "/" : rewrite,
  );
}

// They belong to the connection, or say where the request goes; a middleware cannot change them.
const FIXED = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** `x-middleware-override-headers` lists every header that the request is to have; others are deleted. */
function overrides(own: ReadonlyMap<string, string>): Change[] {
  const listed = own.get("x-middleware-override-headers");
  if (listed === undefined) return [];
  const names = new Set(listed.split(",").map((name) => name.trim().toLowerCase()));
  const changes: Change[] = [
    {
      op: "delete",
      key: (name) => !names.has(name.toLowerCase()) && !FIXED.has(name.toLowerCase()),
      values: [],
    },
  ];
  for (const name of names) {
    const value = own.get(`x-middleware-request-${name}`);
    if (name === "" || FIXED.has(name)) continue;
    changes.push(value ? { op: "set", key: name, values: [value] } : { op: "delete", key: name, values: [] });
  }
  return changes;
}
