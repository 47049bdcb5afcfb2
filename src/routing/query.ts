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

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
