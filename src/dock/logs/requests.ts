import type { Entry, Level } from "./entry.ts";

/** What was logged in one request, or a single line that belongs to none. */
export type LoggedRequest = {
  readonly requestId: string;
  /** Of its first line. */
  readonly at: number;
  /** The entry that says most of the request itself. */
  readonly main: Entry;
  readonly status: number;
  readonly lines: readonly { readonly level: Level; readonly message: string }[];
};

export type RequestFilter = {
  readonly levels: readonly string[];
  readonly sources: readonly string[];
  /** `404`, `5xx` or `400-499`, each of them a choice. */
  readonly statuses: readonly string[];
  /** Part of a message or of a path. */
  readonly text: string;
  readonly requestId: string;
};

/** Newest first. Pure. */
export function groupByRequest(entries: readonly Entry[]): LoggedRequest[] {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const key = entry.requestId === "" ? entry.id : `${entry.deploymentId} ${entry.requestId}`;
    const group = groups.get(key);
    if (group) group.push(entry);
    else groups.set(key, [entry]);
  }
  // Reversed first: of two in the same millisecond the later one is the newer one.
  return [...groups.values()]
    .reverse()
    .map(toRequest)
    .sort((a, b) => b.at - a.at);
}

function toRequest(group: readonly Entry[]): LoggedRequest {
  const at = Math.min(...group.map((entry) => entry.at));
  const main =
    group.find((entry) => entry.source !== "request" && entry.path !== "") ??
    group.find((entry) => entry.path !== "") ??
    (group[0] as Entry);
  const status = group.findLast((entry) => entry.status > 0)?.status ?? 0;
  const lines = group
    .filter((entry) => entry.message !== "")
    .map(({ level, message }) => ({ level, message }));
  return { requestId: main.requestId, at, main, status, lines };
}

export function matchesRequest(request: LoggedRequest, filter: RequestFilter): boolean {
  const { levels, sources, statuses, text, requestId } = filter;
  const found = [request.main.level, ...request.lines.map((line) => line.level)];
  if (levels.length > 0 && !levels.some((level) => found.includes(level as Level))) return false;
  if (sources.length > 0 && !sources.includes(sourceOf(request))) return false;
  if (statuses.length > 0 && !statuses.some((wanted) => matchesStatus(request.status, wanted))) return false;
  if (requestId !== "" && request.requestId !== requestId) return false;
  if (text === "") return true;
  const haystack = [request.main.path, ...request.lines.map((line) => line.message)].join("\n");
  return haystack.toLowerCase().includes(text.toLowerCase());
}

/** A summary alone says nothing of what answered; most releases with a log are functions. */
export function sourceOf({ main }: LoggedRequest): string {
  return main.source === "request" ? "serverless" : main.source;
}

function matchesStatus(status: number, wanted: string): boolean {
  const range = /^(\d{3})-(\d{3})$/.exec(wanted);
  if (range) return status >= Number(range[1]) && status <= Number(range[2]);
  const pattern = wanted.toLowerCase();
  const digits = String(status);
  return digits.length === pattern.length && [...pattern].every((c, at) => c === "x" || c === digits[at]);
}
