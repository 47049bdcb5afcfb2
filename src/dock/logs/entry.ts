import { z } from "zod";

/**
 * Runtime logs: what releases print and what the output server says of each request.
 *
 * - **entry**: one line of a release's output, told apart into its fields.
 * - **structured**: a line of the output server, JSON that begins with `{"signalbox":"runtime"`.
 * - **request**: the entries that share a request id.
 */
export type Entry = {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly projectId: string;
  readonly deploymentId: string;
  /** `production`, `preview`, or the slug of a custom environment. */
  readonly environment: string;
  readonly branch: string | null;
  readonly level: Level;
  readonly source: Source;
  /** Empty where the line belongs to no known request; so are the next three. */
  readonly requestId: string;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** 0: not known. */
  readonly status: number;
  readonly message: string;
};

export type Level = "info" | "warning" | "error" | "fatal";
export type Source = "serverless" | "edge-function" | "edge-middleware" | "static" | "request";
/** Whose line it is. */
export type Origin = Pick<Entry, "projectId" | "deploymentId" | "environment" | "branch"> & {
  /** The immutable host: shown where the line names no other. */
  readonly host: string;
};

export const STRUCTURED = '{"signalbox":"runtime"';

const Structured = z.object({
  at: z.number(),
  level: z.enum(["info", "warning", "error", "fatal"]).catch("info"),
  source: z.enum(["serverless", "edge-function", "edge-middleware", "static", "request"]).catch("serverless"),
  requestId: z.string().catch(""),
  method: z.string().catch(""),
  host: z.string().catch(""),
  path: z.string().catch(""),
  status: z.number().catch(0),
  message: z.string().catch(""),
});
/** What the output server writes, one to a line. */
export type StructuredLine = z.infer<typeof Structured>;

export function structuredLine(line: StructuredLine): string {
  return JSON.stringify({ signalbox: "runtime", ...line });
}

export function entryOf(line: { id: string; at: number; text: string }, origin: Origin): Entry {
  const { host, ...from } = origin;
  const id = `${origin.deploymentId}-${line.id}`;
  const structured = parseStructured(line.text);
  if (structured) return { ...from, id, ...structured, host: structured.host || host };
  return {
    ...from,
    id,
    at: line.at,
    level: levelOf(line.text),
    source: "serverless",
    requestId: "",
    method: "",
    host,
    path: "",
    status: 0,
    message: line.text,
  };
}

function parseStructured(text: string): StructuredLine | null {
  if (!text.startsWith(STRUCTURED)) return null;
  try {
    return Structured.parse(JSON.parse(text));
  } catch {
    // An app may print anything, a line like ours too.
    return null;
  }
}

/** An app's stdout and stderr are one file, so the level is what the line says of itself. */
function levelOf(text: string): Level {
  if (/^\W*(fatal)\b/i.test(text)) return "fatal";
  if (/^\W*(\w*Error|error|uncaught|unhandled\w*)\b/i.test(text)) return "error";
  return /^\W*(warn|warning)\b/i.test(text) ? "warning" : "info";
}
