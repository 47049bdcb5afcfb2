import { pino } from "pino";

export type Log = {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
};

// Field names that may carry a secret. Values in free text are the business of whoever holds the secret (see
// the redactor of builds); this is the last net for structured fields.
const SECRET_FIELDS = ["token", "password", "secret", "authorization", "cookie", "databaseUrl"];

/** JSON lines on stdout: `{level, time, process, msg, …}`. `err` fields are serialised with stack and cause. */
export function createLog(options: { process: string; level?: string }): Log {
  return pino({
    base: { process: options.process },
    level: options.level ?? "info",
    redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: "[redacted]" },
    formatters: { level: (label) => ({ level: label }) },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
