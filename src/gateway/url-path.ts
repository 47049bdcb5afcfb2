/** A request target in parts; null when it is none that a gateway can answer. */
export type Target = {
  /** As sent, without query. */
  readonly path: string;
  /** With the question mark; empty when there is none. */
  readonly query: string;
  /**
   * The host of an absolute-form target (`GET http://host/path`), which wins over the `Host` header (RFC 9112
   * §3.2.2).
   */
  readonly host: string | null;
};

export function parseTarget(url: string): Target | null {
  if (url.charCodeAt(0) !== 47) return parseAbsolute(url);
  const mark = url.indexOf("?");
  return mark === -1
    ? { path: url, query: "", host: null }
    : { path: url.slice(0, mark), query: url.slice(mark), host: null };
}

function parseAbsolute(url: string): Target | null {
  const match = /^https?:\/\/([^/?#@\s]+)(\/[^?#]*)?(\?[^#]*)?$/i.exec(url);
  return match === null ? null : { path: match[2] ?? "/", query: match[3] ?? "", host: match[1] ?? null };
}

/**
 * The path as the manifest spells it; null for bad escapes, control characters and escaped separators, none of
 * which any file has. Files are found by exact name in a map, so `..` finds nothing by construction.
 */
export function decodePath(path: string): string | null {
  if (path.indexOf("%") === -1) return HIDDEN.test(path) ? null : path;
  if (/%(?:2f|5c)/i.test(path)) return null;
  try {
    const decoded = decodeURIComponent(path);
    return HIDDEN.test(decoded) ? null : decoded;
  } catch {
    return null;
  }
}

// Control characters (NUL among them) and the separator of other systems.
const HIDDEN = /[\p{Cc}\\]/u;
