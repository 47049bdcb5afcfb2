import { appendFile, open, stat } from "node:fs/promises";
import type { Clock } from "../../foundation/clock.ts";
import { errorCodeOf } from "../../foundation/errors.ts";
import { logFile } from "./app-log.ts";

/** One line of an app's output. */
export type AppLine = {
  /** The same for as long as the line is kept, as far as this process knows. */
  readonly id: string;
  /** Milliseconds since 1970 when the line was first seen: an app's own output carries no time. */
  readonly at: number;
  readonly text: string;
};

/** At a look at `at` the file held `size` bytes: whatever is before and was not there earlier is as old as that. */
type Mark = { readonly size: number; readonly at: number };

/** When the bytes of one app's log were seen. */
export type LogTimes = { generation: number; earlier: Mark[]; current: Mark[] };

export function newLogTimes(): LogTimes {
  return { generation: 0, earlier: [], current: [] };
}

const MOST_MARKS = 4_096;
const LOOK_MS = 100;
const LONGEST_LINE = 256 * 2 ** 10;

/** To be called now and then; the more often, the truer are the times. */
export async function markLog(folder: string, times: LogTimes, now: Date): Promise<void> {
  const facts = await stat(logFile(folder)).catch(() => null);
  const known = times.current.at(-1);
  if (!facts || facts.size === (known?.size ?? 0)) return;
  // What was there before this process looked for the first time is as old as its file says.
  const at = known || times.generation > 0 ? now.getTime() : Math.min(now.getTime(), facts.mtimeMs);
  times.current.push({ size: facts.size, at });
  if (times.current.length > MOST_MARKS) times.current = times.current.filter((_, index) => index % 2 === 1);
}

/** The file's content has just moved to `.1`. */
export function rotateTimes(times: LogTimes): void {
  times.generation += 1;
  times.earlier = times.current;
  times.current = [];
}

/** Everything that is kept of an app's output, oldest first. */
export async function readLines(folder: string, times: LogTimes, now: Date): Promise<AppLine[]> {
  const path = logFile(folder);
  const [earlier, current] = await Promise.all([readAll(`${path}.1`), readAll(path)]);
  const { generation } = times;
  return [
    ...split(earlier, 0).map((line) => stamp(line, times.earlier, generation - 1, now)),
    ...split(current, 0).map((line) => stamp(line, times.current, generation, now)),
  ];
}

type Following = {
  readonly times: () => LogTimes;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/** The lines that come once this has resolved, until the signal aborts. */
export async function followLines(folder: string, following: Following): Promise<AsyncGenerator<AppLine>> {
  const path = logFile(folder);
  const size = (await stat(path).catch(() => null))?.size ?? 0;
  return linesFrom(path, size, following);
}

async function* linesFrom(path: string, start: number, following: Following): AsyncGenerator<AppLine> {
  const { clock, signal, times } = following;
  let offset = start;
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS, signal).catch(() => {});
    const size = (await stat(path).catch(() => null))?.size ?? 0;
    // A file that shrank was emptied, or is one of a new process.
    if (size < offset) offset = 0;
    if (size === offset || signal.aborted) continue;
    const bytes = await readFrom(path, offset, size - offset);
    const whole = bytes.length > LONGEST_LINE ? bytes.length : bytes.lastIndexOf(10) + 1;
    for (const line of split(bytes.subarray(0, whole), offset)) {
      yield stamp(line, [], times().generation, clock.now());
    }
    offset += whole;
  }
}

/** Adds a line of ours to an app's output. An app that left no output gets none. */
export async function addLine(folder: string, text: string): Promise<void> {
  if ((await stat(folder).catch(() => null)) === null) return;
  await appendFile(logFile(folder), `${text}\n`, { mode: 0o600 });
}

type RawLine = { readonly offset: number; readonly end: number; readonly text: string };

function split(bytes: Buffer, start: number): RawLine[] {
  const lines: RawLine[] = [];
  let from = 0;
  while (from < bytes.length) {
    const newline = bytes.indexOf(10, from);
    const to = newline === -1 ? bytes.length : newline;
    if (to > from) {
      const text = bytes.toString("utf8", from, Math.min(to, from + LONGEST_LINE));
      lines.push({ offset: start + from, end: start + to, text });
    }
    from = to + 1;
  }
  return lines;
}

function stamp(line: RawLine, marks: readonly Mark[], generation: number, now: Date): AppLine {
  const at = marks.find((mark) => mark.size >= line.end)?.at ?? now.getTime();
  return { id: `${generation}-${line.offset}`, at, text: line.text };
}

function readAll(path: string): Promise<Buffer> {
  return readFrom(path, 0, Number.POSITIVE_INFINITY);
}

async function readFrom(path: string, start: number, length: number): Promise<Buffer> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.max(0, Math.min(length, size - start)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}
