import { closeSync, fstatSync, openSync, write, writeSync } from "node:fs";
import type { Clock } from "../foundation/clock.ts";
import { AppError, errorCodeOf } from "../foundation/errors.ts";

export type AccessEntry = {
  readonly host: string;
  readonly method: string;
  /** Without the query, which may hold a secret. */
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
  readonly ms: number;
  readonly release: string;
  readonly address: string;
};

export type AccessLog = {
  write(entry: AccessEntry): void;
  /** Writes what is buffered, at once, and closes the file. */
  close(): void;
};

export const noAccessLog: AccessLog = { write() {}, close() {} };

const FLUSH_CHARS = 64 * 1_024;
const FLUSH_MS = 250;
// A disk that does not keep up must cost log lines, not memory or requests.
const MAX_BUFFERED_CHARS = 8 * 1_024 * 1_024;

/**
 * Appends JSON lines to a file, in batches: `{time, host, method, path, status, bytes, ms, release, ip}`.
 * Several workers share the file: each batch is one append of whole lines.
 * @throws AppError when the file cannot be opened
 */
export function openAccessLog(path: string, clock: Clock): AccessLog {
  const file = openForAppend(path);
  const timestamp = timestamps(clock);
  let buffered = "";
  let writing = false;
  let dropped = 0;
  let timer: NodeJS.Timeout | null = null;

  const flush = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    if (writing || buffered === "") return;
    const batch = Buffer.from(buffered);
    buffered = dropped === 0 ? "" : `{"time":"${timestamp()}","dropped":${dropped}}\n`;
    dropped = 0;
    writing = true;
    writeAll(file, batch, () => {
      writing = false;
      if (buffered.length >= FLUSH_CHARS) flush();
      else if (buffered !== "") timer ??= setTimeout(flush, FLUSH_MS);
    });
  };

  return {
    write(entry) {
      if (buffered.length > MAX_BUFFERED_CHARS) {
        dropped++;
        return;
      }
      buffered += accessLine(entry, timestamp());
      if (buffered.length >= FLUSH_CHARS) flush();
      else timer ??= setTimeout(flush, FLUSH_MS);
    },
    close() {
      if (timer !== null) clearTimeout(timer);
      try {
        if (buffered !== "") writeSync(file, buffered);
      } catch {
        // The process is going away, and a full disk has nowhere to put this either.
      }
      closeSync(file);
    },
  };
}

/** One line of the log, newline included. */
export function accessLine(entry: AccessEntry, time: string): string {
  return (
    `{"time":"${time}","host":${quoted(entry.host)},"method":"${entry.method}","path":${quoted(entry.path)}` +
    `,"status":${entry.status},"bytes":${entry.bytes},"ms":${Math.round(entry.ms * 100) / 100}` +
    `,"release":"${entry.release}","ip":"${entry.address}"}\n`
  );
}

const NEEDS_ESCAPING = /[^ !#-[\]-~]/;

function quoted(text: string): string {
  return NEEDS_ESCAPING.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** ISO timestamps in milliseconds; a date is only formatted once a second. */
function timestamps(clock: Clock): () => string {
  const startMs = clock.now().getTime() - clock.monotonicMs();
  let second = -1;
  let prefix = "";
  return () => {
    const nowMs = Math.floor(startMs + clock.monotonicMs());
    const nowSecond = Math.floor(nowMs / 1_000);
    if (nowSecond !== second) {
      second = nowSecond;
      prefix = new Date(nowSecond * 1_000).toISOString().slice(0, 20);
    }
    const ms = nowMs - second * 1_000;
    return `${prefix}${ms < 10 ? "00" : ms < 100 ? "0" : ""}${ms}Z`;
  };
}

function openForAppend(path: string): number {
  try {
    const file = openSync(path, "a", 0o640);
    fstatSync(file);
    return file;
  } catch (cause) {
    throw new AppError("unavailable", `The access log ${path} cannot be opened (${errorCodeOf(cause)}).`, {
      hint: "Make its folder, or give the gateway's user write access to it.",
      cause,
    });
  }
}

function writeAll(file: number, batch: Buffer, done: () => void): void {
  write(file, batch, 0, batch.length, null, (error, written) => {
    if (error !== null || written === batch.length) return done();
    writeAll(file, batch.subarray(written), done);
  });
}
