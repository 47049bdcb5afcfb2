import type { Exchange } from "./exchange.ts";

export type RuntimeSource = "serverless" | "edge-function" | "edge-middleware" | "static" | "request";

/** One line of the release's output: the dock's runtime logs are made of these. */
export type RuntimeLog = {
  /** A request that a function was called for is over. */
  request(exchange: Exchange, status: number, called: string, durationMs: number): void;
  problem(exchange: Exchange | null, source: RuntimeSource, message: string): void;
};

export function createRuntimeLog(write: (line: string) => void, nowMs: () => number): RuntimeLog {
  const put = (line: object) => write(`${JSON.stringify({ signalbox: "runtime", at: nowMs(), ...line })}\n`);
  const facts = (exchange: Exchange | null) => ({
    requestId: exchange?.requestId ?? "",
    method: exchange?.req.method ?? "",
    host: exchange?.host ?? "",
    path: exchange?.path ?? "",
  });
  return {
    request(exchange, status, called, durationMs) {
      const level = status >= 500 ? "error" : "info";
      const time = { durationMs: Math.round(durationMs * 10) / 10 };
      put({ level, source: "request", ...facts(exchange), status, function: called, ...time, message: "" });
    },
    problem(exchange, source, message) {
      put({ level: "error", source, ...facts(exchange), message });
    },
  };
}
