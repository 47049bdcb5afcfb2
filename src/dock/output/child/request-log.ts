import { systemClock } from "../../../foundation/clock.ts";
import { requests } from "./context.ts";
import type { LoadMessage } from "./protocol.ts";

type Level = "info" | "warning" | "error";

// Vercel's limits: 256 KB a line, 256 lines a request.
const LINE_BYTES = 256 * 1024;
const LINES_A_REQUEST = 256;

const counts = new WeakMap<object, number>();
let stated: Level | null = null;

/**
 * Turns everything that the function writes to its output into runtime lines which name their request. One write is
 * one line, so that a stack trace stays together; a write without a line's end waits for the rest.
 */
export function installRequestLog({ source, name }: Pick<LoadMessage, "source" | "name">): void {
  const out = process.stdout.write.bind(process.stdout);
  const write = (level: Level, message: string) => {
    const request = requests.getStore();
    if (request && !counted(request)) return;
    const line = {
      signalbox: "runtime",
      at: systemClock.now().getTime(),
      level: stated ?? level,
      source,
      requestId: request?.requestId ?? "",
      method: request?.method ?? "",
      host: request?.host ?? "",
      path: request?.path ?? name,
      function: name,
      message: message.length > LINE_BYTES ? `${message.slice(0, LINE_BYTES)}…` : message,
    };
    out(`${JSON.stringify(line)}\n`);
  };
  capture(process.stdout, (message) => write("info", message));
  capture(process.stderr, (message) => write("error", message));
  for (const [method, level] of [["warn", "warning"] as const, ["error", "error"] as const]) {
    stateLevel(method, level);
  }
}

function counted(request: object): boolean {
  const count = (counts.get(request) ?? 0) + 1;
  counts.set(request, count);
  return count <= LINES_A_REQUEST;
}

/** `console.warn` and `console.error` both write to stderr: which one it was is known only while it runs. */
function stateLevel(method: "warn" | "error", level: Level): void {
  const original = console[method].bind(console);
  console[method] = (...values: unknown[]) => {
    const before = stated;
    stated = level;
    try {
      original(...values);
    } finally {
      stated = before;
    }
  };
}

function capture(stream: NodeJS.WriteStream, emit: (message: string) => void): void {
  let rest = "";
  const write = (chunk: unknown, encoding?: unknown, callback?: unknown): boolean => {
    const text = typeof chunk === "string" ? chunk : Buffer.from(chunk as Uint8Array).toString("utf8");
    rest += text;
    if (rest.endsWith("\n") || rest.length > LINE_BYTES) {
      emit(rest.replace(/\r?\n$/, ""));
      rest = "";
    }
    const done = typeof encoding === "function" ? encoding : callback;
    if (typeof done === "function") process.nextTick(done as () => void);
    return true;
  };
  stream.write = write as typeof stream.write;
  process.once("exit", () => {
    if (rest !== "") emit(rest);
  });
}
