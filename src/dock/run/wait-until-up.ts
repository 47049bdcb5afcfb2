import { request } from "node:http";
import type { Clock } from "../../foundation/clock.ts";
import { errorCodeOf } from "../../foundation/errors.ts";

const FIRST_WAIT_MS = 25;
const LONGEST_WAIT_MS = 250;
const ANSWER_MS = 10_000;

export type UpResult =
  | { readonly up: true }
  /** `reason` continues a sentence that begins with "The app". */
  | { readonly up: false; readonly reason: string };

/** Waits for any HTTP answer on the socket, however bad: whether it is a good one is for the health checks to say. */
export async function waitUntilUp(options: {
  socket: string;
  exited: Promise<string>;
  deadlineMs: number;
  clock: Clock;
  signal: AbortSignal;
}): Promise<UpResult> {
  const { socket, exited, deadlineMs, clock, signal } = options;
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const poll = async (): Promise<UpResult> => {
    const started = clock.monotonicMs();
    let accepted = false;
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 1.5, LONGEST_WAIT_MS)) {
      const left = deadlineMs - (clock.monotonicMs() - started);
      if (left <= 0) return { up: false, reason: neverUp(accepted, deadlineMs) };
      const probe = await probeOnce(socket, Math.min(ANSWER_MS, left), both);
      if (probe === "answered") return { up: true };
      accepted ||= probe === "accepted";
      await clock.sleep(Math.min(wait, Math.max(1, left)), both);
    }
  };
  const ended = exited.then((how): UpResult => ({ up: false, reason: `${how} before it listened` }));
  try {
    return await Promise.race([poll(), ended]);
  } finally {
    over.abort();
  }
}

function neverUp(accepted: boolean, deadlineMs: number): string {
  const seconds = Math.round(deadlineMs / 100) / 10;
  return accepted
    ? `accepted connections but answered no request within ${seconds} s`
    : `did not listen for HTTP within ${seconds} s`;
}

function probeOnce(
  socketPath: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<"answered" | "accepted" | "absent"> {
  return new Promise((resolve) => {
    const probe = request({
      socketPath,
      path: "/",
      headers: { host: "localhost", "user-agent": "Signalbox-Start-Check", connection: "close" },
      agent: false,
      signal,
      timeout: timeoutMs,
    });
    let accepted = false;
    probe.once("socket", (socket) => socket.once("connect", () => (accepted = true)));
    probe.once("response", (response) => {
      resolve("answered");
      response.on("error", () => {});
      response.destroy();
    });
    probe.once("timeout", () => probe.destroy());
    probe.once("error", (error) => {
      const absent = ["ENOENT", "ECONNREFUSED"].includes(errorCodeOf(error) ?? "");
      resolve(accepted && !absent ? "accepted" : "absent");
    });
    probe.end();
  });
}
