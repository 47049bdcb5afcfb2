/** The parameters of a query, decoded, in order. */
export function parametersOf(query: string): [name: string, value: string][] {
  if (query.length <= 1) return [];
  return query
    .slice(query.startsWith("?") ? 1 : 0)
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const mark = part.indexOf("=");
      return mark === -1 ? [decode(part), ""] : [decode(part.slice(0, mark)), decode(part.slice(mark + 1))];
    });
}

export function queryOf(parameters: readonly (readonly [string, string])[]): string {
  const parts = parameters.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

/**
 * A destination's parameters, then the request's. Of a name that both have, the request's values are taken: so does
 * the official router.
 */
export function mergeQuery(query: string, added: string): string {
  if (added.length <= 1) return query;
  if (query.length <= 1) return added;
  const asked = new Set(parametersOf(query).map(([name]) => name));
  const kept = added
    .slice(1)
    .split("&")
    .filter((part) => part !== "" && !asked.has(decode(part.split("=", 1)[0] ?? "")));
  return `?${[...kept, query.slice(1)].join("&")}`;
}

/**
 * A redirect's target with the request's query behind its own. Vercel passes it on by default (its guide "How do I
 * perform Vercel redirects based on query strings?"), and so does Next.js, whose order this is: of a name that both
 * have, the target's values are kept, since its author wrote them down.
 */
export function passQuery(location: string, query: string): string {
  if (query.length <= 1) return location;
  const hash = location.indexOf("#");
  const bare = hash === -1 ? location : location.slice(0, hash);
  const mark = bare.indexOf("?");
  const own = new Set(mark === -1 ? [] : parametersOf(bare.slice(mark)).map(([name]) => name));
  const passed = query
    .slice(1)
    .split("&")
    .filter((part) => part !== "" && !own.has(decode(part.split("=", 1)[0] ?? "")));
  if (passed.length === 0) return location;
  const joint = mark === -1 ? "?" : mark === bare.length - 1 ? "" : "&";
  const text = passed.join("&").replace(/[^!-~]+/g, (part) => encodeURIComponent(part.toWellFormed()));
  return `${bare}${joint}${text}${hash === -1 ? "" : location.slice(hash)}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
