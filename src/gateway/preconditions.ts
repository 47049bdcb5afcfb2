/** Pure answers to the conditional and range headers of RFC 9110 §13 and §14. */

/** @param etag strong, with its quotes */
export function isUnchanged(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === "*") return true;
  return ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

export type Range = { readonly first: number; readonly last: number };

/**
 * One byte range of a `Range` header. Null: answer with the whole (no range, several, or none that we understand).
 * `"unsatisfiable"`: answer 416.
 */
export function parseRange(header: string | undefined, size: number): Range | "unsatisfiable" | null {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? "");
  if (match === null) return null;
  const [, from = "", to = ""] = match;
  if (from === "" && to === "") return null;
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "unsatisfiable" : { first: size - length, last: size - 1 };
  }
  const first = Number(from);
  const last = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < first) return null;
  return first >= size ? "unsatisfiable" : { first, last };
}

/** True when the `Range` still counts: no `If-Range`, or the very same strong tag. Dates never match: we send none. */
export function rangeApplies(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag;
}

/** The best of the variants there are, by `Accept-Encoding`; null: the plain bytes. */
export function chooseEncoding(
  acceptEncoding: string | undefined,
  available: Readonly<Partial<Record<"br" | "gzip", unknown>>>,
): "br" | "gzip" | null {
  if (acceptEncoding === undefined) return null;
  const weights = new Map<string, number>();
  for (const part of acceptEncoding.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";");
    const q = parameters.map((parameter) => /^\s*q=([0-9.]+)\s*$/.exec(parameter)?.[1]).find(Boolean);
    weights.set(name.trim(), q === undefined ? 1 : Number(q));
  }
  let best: "br" | "gzip" | null = null;
  let bestWeight = 0;
  for (const encoding of ["br", "gzip"] as const) {
    const weight = weights.get(encoding) ?? weights.get("*") ?? 0;
    if (available[encoding] !== undefined && weight > bestWeight) {
      best = encoding;
      bestWeight = weight;
    }
  }
  return best;
}
