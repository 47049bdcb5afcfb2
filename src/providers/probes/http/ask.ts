import type { X509Certificate } from "node:crypto";
import type { Failure, Outcome, Phases } from "../../../checks/model.ts";
import type { ProbeContext } from "../../../checks/probe-kind.ts";
import { headersParser } from "../../../foundation/http1/answer-headers.ts";
import { type Asked, type Exchanged, exchange } from "../../../foundation/http1/exchange.ts";
import { type Connected, connect, hostAndPort, isConnected, type Target } from "../connect.ts";
import { connectionFailure, timedOut } from "../connection-failure.ts";

export type Answer = {
  readonly head: NonNullable<Exchanged["head"]>;
  readonly body: Buffer;
  readonly bytes: number;
  readonly phases: Phases;
  readonly address: string;
  readonly certificate: X509Certificate | null;
};

export function isAnswer(result: Answer | Outcome): result is Answer {
  return "head" in result;
}

/** One request on a connection of its own, or why there is no whole answer. Never rejects. */
export async function askOnce(
  target: Target,
  asked: Asked,
  context: ProbeContext,
): Promise<Answer | Outcome> {
  const startedMs = context.clock.monotonicMs();
  const connected = await connect({ ...target, isHttp: true }, context);
  if (!isConnected(connected)) return connected;
  return await askOver(connected, asked, { where: hostAndPort(target), startedMs, context });
}

export type Asking = {
  /** For people. */
  readonly where: string;
  readonly startedMs: number;
  readonly context: ProbeContext;
};

const parseHeaders = headersParser([]);

/** The same on a connection that is there; it is closed afterwards. */
export async function askOver(
  connected: Connected,
  asked: Asked,
  { where, startedMs, context }: Asking,
): Promise<Answer | Outcome> {
  const { socket, address, certificate } = connected;
  const { signal, clock } = context;
  const got = await exchange(socket, asked, { signal, clock, parseHeaders });
  const { firstByteMs, transferMs } = got;
  const phases =
    firstByteMs === null || transferMs === null
      ? connected.phases
      : { ...connected.phases, firstByteMs, transferMs };
  if (got.end === "whole" && got.head !== null)
    return { head: got.head, body: got.body, bytes: got.bytes, phases, address, certificate };
  const failure = cutShort(got, where, asked.maxBytes, clock.monotonicMs() - startedMs);
  const observed = { address, ...(got.head === null ? {} : { status: got.head.status }) };
  return { status: "down", failure, phases, observed };
}

function cutShort(got: Exchanged, where: string, maxBytes: number, elapsedMs: number): Failure {
  const { end, head, bytes, error, firstByteMs } = got;
  const received = head === null ? "before its head was whole" : `after ${bytes} bytes of its body`;
  const how = head === null || head.length < 0 ? received : `${received}, of ${head.length}`;
  if (end === "too_large")
    return { class: "too_large", message: `${where}: the answer is larger than ${maxBytes} bytes.` };
  if (end === "malformed")
    return { class: "protocol", message: `${where}: what it answers is no HTTP/1.1: ${error?.message}.` };
  if (end === "aborted" && firstByteMs === null)
    return timedOut(where, elapsedMs, "connected, and no answer");
  if (end === "aborted") {
    const began = `it began ${Math.round(firstByteMs ?? 0)} ms after the request, and stopped ${how}`;
    return timedOut(where, elapsedMs, `no whole answer (${began})`);
  }
  if (end === "broken" && firstByteMs === null) return connectionFailure(error, where, "open");
  const began =
    firstByteMs === null ? "closed the connection without an answer" : `cut its answer off ${how}`;
  return { class: "reset", message: `${where} ${began}.` };
}
