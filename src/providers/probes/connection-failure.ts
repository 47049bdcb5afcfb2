import type { Failure, FailureClass } from "../../checks/model.ts";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { GuardError } from "../../foundation/guarded-connect.ts";

/** How far a connection had come: what failed is told by where it failed. */
export type Step = "dns" | "connect" | "tls" | "open";

const DOING: Readonly<Record<Step, string>> = {
  dns: "while its name was looked up",
  connect: "while connecting",
  tls: "during the TLS handshake",
  open: "on an open connection",
};

type Cause = { readonly class: FailureClass; readonly what: string };

/** Errors of the system. Source: errno(3) and libuv's names of them. */
const CAUSES: Readonly<Record<string, Cause>> = {
  ECONNREFUSED: { class: "refused", what: "nobody listens there" },
  ECONNRESET: { class: "reset", what: "the other side reset the connection" },
  ECONNABORTED: { class: "reset", what: "the connection was aborted" },
  EPIPE: { class: "reset", what: "the other side closed the connection" },
  ETIMEDOUT: { class: "timeout", what: "the system gave up waiting for an answer" },
  ENETUNREACH: { class: "unreachable", what: "there is no route to its network" },
  EHOSTUNREACH: { class: "unreachable", what: "there is no route to the host" },
  EHOSTDOWN: { class: "unreachable", what: "the host does not answer on its network" },
  ENETDOWN: { class: "unreachable", what: "the network is down" },
  EACCES: { class: "unreachable", what: "a firewall of this machine forbids it" },
  EPERM: { class: "unreachable", what: "a firewall of this machine forbids it" },
  // Of this machine, not of the service.
  EMFILE: { class: "fault", what: "this process has too many open files" },
  ENFILE: { class: "fault", what: "this machine has too many open files" },
  ENOBUFS: { class: "fault", what: "this machine is out of memory for sockets" },
  ENOMEM: { class: "fault", what: "this machine is out of memory" },
  EADDRNOTAVAIL: { class: "fault", what: "this machine has no free port or address of that kind" },
};

/** @param where `host:port`, for people */
export function connectionFailure(error: unknown, where: string, step: Step): Failure {
  if (error instanceof GuardError) return { class: error.class, message: error.message };
  const code = errorCodeOf(error) ?? "";
  const cause = CAUSES[code];
  if (cause !== undefined)
    return { class: cause.class, message: `${where}: ${cause.what} (${code} ${DOING[step]}).` };
  // With TLS 1.3 a server says only after the handshake that it wants a certificate of ours.
  if (step === "tls" || code.startsWith("ERR_SSL_") || code === "EPROTO")
    return { class: "tls", message: `${where}: no TLS with this peer: ${reasonOf(error, code)}.` };
  return { class: "fault", message: `${where}: ${messageOf(error)} (${DOING[step]}).` };
}

/**
 * What a protocol's driver threw that is no word of the server's: it could not make sense of what came. Errors of the
 * system, and mistakes of our own, are what they are.
 * @param protocol for people: "MySQL's protocol"
 */
export function driverFailure(error: unknown, where: string, protocol: string): Failure {
  const failure = connectionFailure(error, where, "open");
  const isOurs = error instanceof TypeError || error instanceof ReferenceError;
  if (failure.class !== "fault" || isOurs || (errorCodeOf(error) ?? "") in CAUSES) return failure;
  return { class: "protocol", message: `${where}: what it answers is not ${protocol}.` };
}

/** OpenSSL's errors name a file and a line of its own before the reason, which has a field. */
function reasonOf(error: unknown, code: string): string {
  const reason = error instanceof Error && "reason" in error ? String(error.reason) : "";
  if (/wrong version number|packet length too long|http request/i.test(reason || code.replaceAll("_", " ")))
    return `what it answers is no TLS (${code})`;
  return reason === "" ? `${messageOf(error)}` : `${reason} (${code})`;
}

/** Nothing more came within the time. */
export function timedOut(where: string, waitedMs: number, what: string): Failure {
  return { class: "timeout", message: `${where}: ${what} within ${Math.round(waitedMs)} ms.` };
}

const MISSING: Readonly<Record<Exclude<Step, "open">, string>> = {
  dns: "its name could not be looked up",
  connect: "no connection",
  tls: "connected, and no TLS handshake",
};

export function timedOutOpening(where: string, waitedMs: number, step: Exclude<Step, "open">): Failure {
  return timedOut(where, waitedMs, MISSING[step]);
}
