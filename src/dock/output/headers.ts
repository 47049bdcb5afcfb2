/** Header lists of names and values in turn, as Node's HTTP reads and writes them. */
export type RawHeaders = readonly string[];

export function headerOf(headers: RawHeaders, name: string): string | null {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at]?.toLowerCase() === name) return headers[at + 1] ?? "";
  }
  return null;
}

export function withoutHeaders(headers: RawHeaders, drop: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? "";
    if (!drop(name.toLowerCase())) kept.push(name, headers[at + 1] ?? "");
  }
  return kept;
}

/**
 * An answer's own headers with those of the routes. `override`: the routes' win. `keep`: the answer's win, and the
 * routes add what it does not say. Cookies are never replaced: each is a header of its own.
 */
export function mergeHeaders(own: RawHeaders, routes: RawHeaders, rule: "override" | "keep"): string[] {
  if (routes.length === 0) return own as string[];
  const [first, second] = rule === "override" ? [routes, own] : [own, routes];
  const names = new Set<string>();
  for (let at = 0; at < first.length; at += 2) names.add((first[at] ?? "").toLowerCase());
  names.delete("set-cookie");
  return [...first, ...withoutHeaders(second, (name) => names.has(name))];
}
