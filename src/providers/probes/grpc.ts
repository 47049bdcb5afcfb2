import http2 from "node:http2";
import type net from "node:net";
import { TLSSocket } from "node:tls";
import { z } from "zod";
import type { Failure, FailureClass, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { connect, hostAndPort, isConnected } from "./connect.ts";
import { connectionFailure, timedOut } from "./connection-failure.ts";
import { decodeResponse, encodeRequest, type Serving } from "./grpc/health-message.ts";
import { hostName, port, securable } from "./host-and-port.ts";
import { requestHeaders } from "./http/settings.ts";

const grpcSettings = z.strictObject({
  host: hostName,
  port,
  ...securable,
  /** Which of the server's services. Default: the server as a whole. */
  service: z.string().max(1_024).default(""),
  /** Sent along, for example an authorization. */
  metadata: requestHeaders.refine((metadata) => !Object.keys(metadata).some(isHttp2s), {
    error: "holds a header that HTTP/2 keeps for itself",
  }),
});
type GrpcSettings = z.output<typeof grpcSettings>;

/** A request with it cannot be made. */
function isHttp2s(name: string): boolean {
  return /^(http2-settings|host)$/i.test(name);
}

/** What a server says of itself by gRPC's health protocol. Source: grpc/grpc, doc/health-checking.md. */
export const grpc = defineProbe<GrpcSettings>({
  type: "grpc",
  settings: grpcSettings,
  subject: ({ service, ...at }) => `grpc://${hostAndPort(at)}${service === "" ? "" : `/${service}`}`,
  host: ({ host }) => host,
  run: async (settings, context) => {
    const { host, tls, ca, insecure } = settings;
    const where = hostAndPort(settings);
    const target = { host, port: settings.port, tls: tls ? { ca, insecure, alpn: ["h2"] } : null };
    const connected = await connect(target, context);
    if (!isConnected(connected)) return connected;
    const { socket, address, phases } = connected;
    if (socket instanceof TLSSocket && socket.alpnProtocol !== "h2") {
      socket.on("error", () => {}).destroy();
      const failure: Failure = { class: "tls", message: `${where} does not offer HTTP/2, which gRPC needs.` };
      return { status: "down", failure, phases, observed: { address } };
    }
    const sentMs = context.clock.monotonicMs();
    const answer = await check(socket, settings, context);
    const waitedMs = context.clock.monotonicMs() - sentMs;
    const failure = failureOf(answer, settings, waitedMs);
    const outcome: Outcome = failure === null ? { status: "up" } : { status: "down", failure };
    const observed = { address, serving: answer.body === null ? null : decodeResponse(answer.body) };
    return { ...outcome, phases: { ...phases, firstByteMs: waitedMs }, observed };
  },
});

type Answer = {
  readonly end: "whole" | "aborted" | "broken" | "too_large";
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly body: Buffer | null;
  readonly error: unknown;
};

/** A health answer has a few bytes. */
const MAX_BYTES = 65_536;

function check(socket: net.Socket, settings: GrpcSettings, context: ProbeContext): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const { signal, timeoutMs } = context;
  const scheme = settings.tls ? "https" : "http";
  const session = http2.connect(`${scheme}://${hostAndPort(settings)}`, { createConnection: () => socket });
  const parts: Buffer[] = [];
  let size = 0;
  let headers: Answer["headers"] = {};
  let trailers: Answer["trailers"] = {};
  const end = (how: Answer["end"], error: unknown = null) => {
    signal.removeEventListener("abort", onAbort);
    session.destroy();
    socket.destroy();
    resolve({ end: how, headers, trailers, body: parts.length === 0 ? null : Buffer.concat(parts), error });
  };
  const onAbort = () => end("aborted");
  const broken = (error: unknown) => end("broken", error);
  session.on("error", broken).on("close", () => end("broken"));
  const request = session.request({
    "user-agent": "signalbox-probe",
    ...lowerCased(settings.metadata),
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": `${Math.max(1, Math.round(timeoutMs))}m`,
    "x-signalbox-probe": "1",
  });
  request.on("response", (found, flags) => {
    headers = found;
    // An answer that is an error has its trailers in its only headers.
    if (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) trailers = found;
  });
  request.on("trailers", (found) => {
    trailers = found;
  });
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_BYTES) end("too_large");
    else parts.push(chunk);
  });
  request.on("error", broken).on("close", () => end("broken"));
  request.on("end", () => {
    // A connection that is lost ends the stream too, before anybody says why.
    if (headers[":status"] !== undefined && !request.aborted) end("whole");
  });
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  request.end(encodeRequest(settings.service));
  return promise;
}

/** As HTTP/2 writes names: one that differs from ours by its case only would be the same header twice. */
function lowerCased(metadata: GrpcSettings["metadata"]): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name.toLowerCase(), value]));
}

// Source: grpc/grpc, doc/statuscodes.md.
const CODES: Readonly<Record<string, { class: FailureClass; what: string }>> = {
  "4": { class: "timeout", what: "gave up for want of time (DEADLINE_EXCEEDED)" },
  "5": { class: "missing", what: "does not know the service (NOT_FOUND)" },
  "7": { class: "auth", what: "does not let us ask (PERMISSION_DENIED)" },
  "8": { class: "overloaded", what: "has no resources left (RESOURCE_EXHAUSTED)" },
  "12": {
    class: "protocol",
    what: "does not offer gRPC's health protocol (UNIMPLEMENTED); ask it by tcp",
  },
  "14": { class: "starting", what: "is not available now (UNAVAILABLE)" },
  "16": { class: "auth", what: "does not take our credentials (UNAUTHENTICATED)" },
};

const SERVING: Readonly<Record<Exclude<Serving, "SERVING">, { class: FailureClass; what: string }>> = {
  UNKNOWN: { class: "starting", what: "does not know yet how it is (UNKNOWN)" },
  NOT_SERVING: { class: "status", what: "says that it does not serve (NOT_SERVING)" },
  SERVICE_UNKNOWN: { class: "missing", what: "does not know the service (SERVICE_UNKNOWN)" },
};

function failureOf(answer: Answer, settings: GrpcSettings, waitedMs: number): Failure | null {
  const { end, headers, trailers, body, error } = answer;
  const where = hostAndPort(settings);
  const about = settings.service === "" ? where : `${where} (${settings.service})`;
  if (end === "aborted") return timedOut(where, waitedMs, "connected, and no answer");
  if (end === "broken") return brokenOff(error, where);
  if (end === "too_large")
    return { class: "too_large", message: `${where}: the answer is larger than ${MAX_BYTES} bytes.` };
  const status = headers[":status"];
  if (status !== 200)
    return { class: "status", message: `${where} answered with status ${status}, not by gRPC.` };
  if (!String(headers["content-type"]).startsWith("application/grpc"))
    return {
      class: "protocol",
      message: `${where}: what it answers is no gRPC (${headers["content-type"]}).`,
    };
  const code = String(trailers["grpc-status"] ?? "");
  if (code === "")
    return { class: "protocol", message: `${where}: the answer ends without a status of gRPC.` };
  if (code !== "0") {
    const known = CODES[code] ?? { class: "status" as const, what: `failed with the status ${code} of gRPC` };
    return { class: known.class, message: `${about} ${known.what}.` };
  }
  const serving = body === null ? null : decodeResponse(body);
  if (serving === null)
    return { class: "protocol", message: `${where}: the answer holds no health message.` };
  if (serving === "SERVING") return null;
  return { class: SERVING[serving].class, message: `${about} ${SERVING[serving].what}.` };
}

function brokenOff(error: unknown, where: string): Failure {
  const code = errorCodeOf(error) ?? "";
  if (error === null || code === "ERR_HTTP2_STREAM_CANCEL" || code === "ERR_HTTP2_SESSION_ERROR")
    return { class: "reset", message: `${where} closed the connection without an answer.` };
  if (code.startsWith("ERR_HTTP2")) return { class: "protocol", message: `${where}: ${messageOf(error)}.` };
  return connectionFailure(error, where, "open");
}
