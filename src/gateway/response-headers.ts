/** What is passed on of an upstream answer's head. */
export type AnswerHeaders = {
  /** Name and value alternating. */
  readonly headers: string[];
  /** -1 when the answer does not say. */
  readonly length: number;
  readonly eventStream: boolean;
};

type Kind = "pass" | "drop" | "connection" | "length" | "type";

const KINDS = new Map<string, Kind>([
  ["connection", "connection"],
  ["content-length", "length"],
  ["content-type", "type"],
  ["keep-alive", "drop"],
  ["transfer-encoding", "drop"],
  ["trailer", "drop"],
  ["upgrade", "drop"],
  ["proxy-connection", "drop"],
  ["proxy-authenticate", "drop"],
  // Ours: an app must not be able to pass for another release.
  ["x-signalbox-deployment", "drop"],
]);

const SPELLINGS = new Map<string, Kind>();
const KNOWN_SPELLINGS = 1_000;

/** @param raw as undici hands it over: name and value alternating, as bytes of ISO 8859-1 */
export function answerHeaders(raw: readonly Buffer[], release: string): AnswerHeaders {
  const headers: string[] = [];
  let length = -1;
  let eventStream = false;
  let listed = "";
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = text(raw[i]);
    const kind = SPELLINGS.get(name) ?? learnSpelling(name);
    if (kind === "drop") continue;
    const value = text(raw[i + 1]);
    if (kind === "connection") {
      if (value !== "keep-alive" && value !== "close") listed += `,${value}`;
      continue;
    }
    if (kind === "length") length = Number(value);
    else if (kind === "type") eventStream = value.startsWith("text/event-stream");
    headers.push(name, value);
  }
  if (listed !== "") dropListed(headers, listed);
  headers.push("x-signalbox-deployment", release);
  return { headers, length, eventStream };
}

function text(bytes: Buffer | undefined): string {
  return bytes === undefined ? "" : bytes.toString("latin1");
}

function learnSpelling(name: string): Kind {
  const kind = KINDS.get(name.toLowerCase()) ?? "pass";
  if (SPELLINGS.size < KNOWN_SPELLINGS) SPELLINGS.set(name, kind);
  return kind;
}

function dropListed(headers: string[], listed: string): void {
  const names = new Set(listed.split(",").map((name) => name.trim().toLowerCase()));
  names.delete("content-length");
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (names.has((headers[i] ?? "").toLowerCase())) headers.splice(i, 2);
  }
}
