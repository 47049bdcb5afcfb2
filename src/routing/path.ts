/**
 * The one spelling of a path: every octet that needs no escape has none, every other has one. Routes are matched
 * against it, so that `/%61dmin` is no way around a route for `/admin`. Escaped separators and percent signs stay
 * escaped: they are no separators. Null for escapes that are none.
 */
export function canonicalPath(path: string): string | null {
  if (PLAIN.test(path)) return path;
  try {
    return path.split(KEPT).map(respell).join("");
  } catch {
    return null;
  }
}

const PLAIN = /^[\w/.\-~!$&'()*+,;=:@]*$/;
// Decoded, these would be read as something else: `/`, `\`, `?`, `#`, `%`.
const KEPT = /(%(?:2f|5c|3f|23|25))/i;

function respell(part: string, index: number): string {
  return index % 2 === 1 ? part.toUpperCase() : encodeURI(decodeURIComponent(part));
}

/** A destination in parts. One that names a scheme and a host is external, and stays in one piece. */
export type Destination = { readonly url: string } | { readonly path: string; readonly query: string };

export function parseDestination(dest: string): Destination {
  if (/^https?:\/\//i.test(dest)) return { url: dest };
  const hash = dest.indexOf("#");
  const bare = hash === -1 ? dest : dest.slice(0, hash);
  const mark = bare.indexOf("?");
  const path = mark === -1 ? bare : bare.slice(0, mark);
  return { path: path.startsWith("/") ? path : `/${path}`, query: mark === -1 ? "" : bare.slice(mark) };
}
