/**
 * Asks at a steady rate, whatever the answers do: a request that is due while every connection waits is sent late and
 * counted from when it was due (no coordinated omission). A process of its own: options as JSON in the first argument,
 * the result on its IPC channel.
 */
import net from "node:net";
import { summary } from "./statistics.ts";

export type SteadyOptions = {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly perSecond: number;
  readonly seconds: number;
  readonly connections: number;
};

export type SteadyResult = {
  readonly ms: ReturnType<typeof summary>;
  readonly answered: number;
  /** Of what was due; the rest had no answer a second after the end. */
  readonly unanswered: number;
  /** By status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Of one answer, headers left out; with the chunks' lengths where it is chunked. */
  readonly bodyBytes: number;
};

/** A connection that is asked one thing at a time. */
type Line = { readonly socket: net.Socket; dueMs: number; left: number; head: Buffer | null };

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
/** As what is left of a body: up to the last chunk. */
const CHUNKED = -1;

async function ask(options: SteadyOptions): Promise<SteadyResult> {
  const headers = Object.entries({ host: "127.0.0.1", ...options.headers });
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const request = Buffer.from(`GET ${options.path} HTTP/1.1\r\n${lines}\r\n`);
  const took: number[] = [];
  const statuses: Record<string, number> = {};
  const idle: Line[] = [];
  const waiting: number[] = [];
  let bodyBytes = 0;
  const send = (line: Line, dueMs: number) => {
    line.dueMs = dueMs;
    line.socket.write(request);
  };
  const done = (line: Line) => {
    took.push(performance.now() - line.dueMs);
    const next = waiting.shift();
    if (next === undefined) idle.push(line);
    else send(line, next);
  };
  const onHead = (line: Line, bytes: Buffer, end: number) => {
    const head = bytes.toString("latin1", 0, end).toLowerCase();
    const status = head.slice(9, 12);
    statuses[status] = (statuses[status] ?? 0) + 1;
    const length = /\ncontent-length: (\d+)/.exec(head)?.[1];
    const got = bytes.length - end - HEAD_END.length;
    if (length !== undefined) {
      bodyBytes = Number(length);
      line.left = bodyBytes - got;
    } else {
      bodyBytes = got;
      line.left = bytes.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK) ? 0 : CHUNKED;
    }
  };
  const onData = (line: Line, chunk: Buffer) => {
    if (line.left === CHUNKED) {
      if (chunk.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)) line.left = 0;
    } else if (line.left > 0) {
      line.left -= chunk.length;
    } else {
      const bytes = line.head ? Buffer.concat([line.head, chunk]) : chunk;
      const end = bytes.indexOf(HEAD_END);
      line.head = end === -1 ? bytes : null;
      if (end === -1) return;
      onHead(line, bytes, end);
    }
    if (line.left === 0) done(line);
  };
  for (let at = 0; at < options.connections; at++) {
    const socket = net.connect(options.port, "127.0.0.1").setNoDelay(true);
    const line: Line = { socket, dueMs: 0, left: 0, head: null };
    socket.on("data", (chunk) => onData(line, chunk));
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    idle.push(line);
  }
  const total = options.perSecond * options.seconds;
  await paced(options.perSecond, total, (dueMs) => {
    const line = idle.pop();
    if (line) send(line, dueMs);
    else waiting.push(dueMs);
  });
  const deadline = performance.now() + 3_000;
  while (took.length < total && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 5));
  return { ms: summary(took), answered: took.length, unanswered: total - took.length, statuses, bodyBytes };
}

/** Calls `due` for each request, with the time it was due at, about every millisecond. */
function paced(perSecond: number, total: number, due: (dueMs: number) => void): Promise<void> {
  const startMs = performance.now();
  const gapMs = 1_000 / perSecond;
  let sent = 0;
  return new Promise((resolve) => {
    const turn = () => {
      const nowMs = performance.now();
      for (; sent < total && startMs + sent * gapMs <= nowMs; sent++) due(startMs + sent * gapMs);
      if (sent === total) resolve();
      else setTimeout(turn, 1);
    };
    turn();
  });
}

process.send?.(await ask(JSON.parse(process.argv[2] ?? "{}")), () => process.exit(0));
