/** What an answer's head says: its fields, and how its body ends. */
export type AnswerHeaders = {
  /** Name and value alternating, without what concerns the connection only. */
  readonly headers: string[];
  /** `Content-Length`; -1 when the answer does not say. */
  readonly length: number;
  readonly chunked: boolean;
  /** Connection options. */
  readonly close: boolean;
  readonly keepAlive: boolean;
  /** How long the other side keeps an idle connection, less a second; Infinity when it does not say. */
  readonly idleLimitMs: number;
  readonly eventStream: boolean;
  /** What is wrong with the head; null when it is well formed. */
  readonly malformed: string | null;
};

type Kind =
  | "malformed"
  | "pass"
  | "drop"
  | "connection"
  | "length"
  | "type"
  | "transfer-encoding"
  | "keep-alive";

const KINDS = new Map<string, Kind>([
  ["connection", "connection"],
  ["content-length", "length"],
  ["content-type", "type"],
  ["transfer-encoding", "transfer-encoding"],
  ["keep-alive", "keep-alive"],
  ["trailer", "drop"],
  ["upgrade", "drop"],
  ["proxy-connection", "drop"],
  ["proxy-authenticate", "drop"],
]);

type Spellings = { readonly kinds: ReadonlyMap<string, Kind>; readonly known: Map<string, Kind> };
const KNOWN_SPELLINGS = 1_000;

/**
 * Parses the header lines of an answer. Values are not looked into: node refuses to send those with control characters.
 * @param text a head as ISO 8859-1, without the empty line at its end
 * @param from where the first header line begins
 */
export type ParseHeaders = (text: string, from: number) => AnswerHeaders;

/** @param dropped names in lower case, that are left out of the fields */
export function headersParser(dropped: readonly string[]): ParseHeaders {
  const kinds = new Map([...KINDS, ...dropped.map((name) => [name, "drop"] as const)]);
  const spellings = { kinds, known: new Map<string, Kind>() };
  return (text, from) => parseHeaders(text, from, spellings);
}

type Draft = { -readonly [K in keyof AnswerHeaders]: AnswerHeaders[K] } & { listed: string };

function parseHeaders(text: string, from: number, spellings: Spellings): AnswerHeaders {
  const draft: Draft = {
    headers: [],
    length: -1,
    chunked: false,
    close: false,
    keepAlive: false,
    idleLimitMs: Infinity,
    eventStream: false,
    malformed: null,
    listed: "",
  };
  let at = from;
  while (at < text.length) {
    const newline = text.indexOf("\r\n", at);
    const end = newline === -1 ? text.length : newline;
    const colon = text.indexOf(":", at);
    if (colon <= at || colon >= end) return { ...draft, malformed: "a header line without a name" };
    addHeader(draft, text.slice(at, colon), trimmed(text, colon + 1, end), spellings);
    at = end + 2;
  }
  // Two ways to end an answer: what one proxy takes for its end, the next may not (RFC 9112 §6.3).
  if (draft.chunked && draft.length >= 0) draft.malformed = "both a length and chunks";
  if (draft.listed !== "") dropListed(draft.headers, draft.listed);
  return draft;
}

function addHeader(draft: Draft, name: string, value: string, spellings: Spellings): void {
  switch (spellings.known.get(name) ?? learnSpelling(name, spellings)) {
    case "malformed":
      draft.malformed = `the header name "${name.slice(0, 40)}"`;
      return;
    case "drop":
      return;
    case "connection":
      return void addConnection(draft, value);
    case "transfer-encoding":
      if (value.toLowerCase() === "chunked") draft.chunked = true;
      else draft.malformed = `the transfer encoding "${value.slice(0, 40)}"`;
      return;
    case "keep-alive": {
      const seconds = /timeout=(\d+)/i.exec(value)?.[1];
      if (seconds !== undefined) draft.idleLimitMs = (Number(seconds) - 1) * 1_000;
      return;
    }
    case "length":
      if (!/^\d{1,15}$/.test(value)) draft.malformed = `the length "${value.slice(0, 40)}"`;
      else if (draft.length >= 0 && draft.length !== Number(value)) draft.malformed = "two lengths";
      if (draft.length >= 0) return;
      draft.length = Number(value);
      break;
    case "type":
      draft.eventStream = value.startsWith("text/event-stream");
  }
  draft.headers.push(name, value);
}

function addConnection(draft: Draft, value: string): void {
  if (value === "keep-alive") draft.keepAlive = true;
  else if (value === "close") draft.close = true;
  else {
    draft.listed += `,${value.toLowerCase()}`;
    if (/\bclose\b/i.test(value)) draft.close = true;
    if (/\bkeep-alive\b/i.test(value)) draft.keepAlive = true;
  }
}

/** Without the optional white space around it (RFC 9110 §5.5). */
function trimmed(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

// RFC 9110 §5.6.2. `Content-Length : 5` is a length to one reader and none to another.
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function learnSpelling(name: string, { kinds, known }: Spellings): Kind {
  if (!TOKEN.test(name)) return "malformed";
  const kind = kinds.get(name.toLowerCase()) ?? "pass";
  // A copy of its own: a slice would keep the whole head that it was cut from.
  if (known.size < KNOWN_SPELLINGS) known.set(Buffer.from(name, "latin1").toString("latin1"), kind);
  return kind;
}

function dropListed(headers: string[], listed: string): void {
  const names = new Set(listed.split(",").map((name) => name.trim()));
  names.delete("content-length");
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (names.has((headers[i] ?? "").toLowerCase())) headers.splice(i, 2);
  }
}
