import type { X509Certificate } from "node:crypto";
import type net from "node:net";
import tls from "node:tls";
import type { Outcome, Phases } from "../../checks/model.ts";
import type { ProbeContext } from "../../checks/probe-kind.ts";
import { requireHttpPort } from "../../foundation/blocked-ports.ts";
import { connectGuarded } from "../../foundation/guarded-connect.ts";
import { connectionFailure, type Step, timedOutOpening } from "./connection-failure.ts";
import { certificateFailure } from "./peer-certificate.ts";

export type Target = {
  readonly host: string;
  readonly port: number;
  /** Null: a plain connection. */
  readonly tls: TlsSettings | null;
  /** HTTP is spoken: not to the ports of protocols that would take it for their own. */
  readonly isHttp?: boolean;
};

export type TlsSettings = {
  /** PEM of the authorities that are trusted instead of the machine's. */
  readonly ca?: string | undefined;
  /** Any certificate will do. */
  readonly insecure?: boolean | undefined;
  /** The name to ask for and to verify, where it is not the host. */
  readonly servername?: string | undefined;
  readonly minVersion?: tls.SecureVersion | undefined;
  readonly alpn?: readonly string[];
};

export type Connected = {
  readonly socket: net.Socket;
  readonly address: string;
  readonly phases: Phases;
  /** Verified, unless that was not asked for. Null: a plain connection. */
  readonly certificate: X509Certificate | null;
};

/** Opens a connection that the guard allows and whose certificate is good, or says why there is none. Never rejects. */
export async function connect(target: Target, context: ProbeContext): Promise<Connected | Outcome> {
  const { signal, clock, network } = context;
  const where = hostAndPort(target);
  const startedMs = clock.monotonicMs();
  let step: Exclude<Step, "open"> = "dns";
  try {
    if (target.isHttp) requireHttpPort(target.host, target.port, network);
    const { socket, address, phases } = await connectGuarded({
      host: target.host,
      port: target.port,
      policy: network,
      signal,
      clock,
      onStep: (next) => {
        step = next;
      },
      ...(target.tls === null ? {} : { tls: tlsOptions(target.tls) }),
    });
    if (!(socket instanceof tls.TLSSocket)) return { socket, address, phases, certificate: null };
    const certificate = socket.getPeerX509Certificate() ?? null;
    const name = target.tls?.servername ?? target.host;
    if (target.tls?.insecure) return { socket, address, phases, certificate };
    const failure = certificateFailure(socket, { certificate, name }, clock.now());
    if (failure === null) return { socket, address, phases, certificate };
    socket.on("error", () => {}).destroy();
    return { status: "down", failure, phases, observed: { address } };
  } catch (error) {
    if (!signal.aborted) return { status: "down", failure: connectionFailure(error, where, step) };
    return { status: "down", failure: timedOutOpening(where, clock.monotonicMs() - startedMs, step) };
  }
}

export function isConnected(result: Connected | Outcome): result is Connected {
  return "socket" in result;
}

/** Ends a connection once what was written is on its way; at the end of the attempt in any case. */
export function closeSoon(socket: net.Socket, signal: AbortSignal): void {
  const destroy = () => void socket.destroy();
  signal.addEventListener("abort", destroy);
  socket.on("error", () => {}).once("close", () => signal.removeEventListener("abort", destroy));
  socket.resume().end(destroy);
}

/** As it is written in a URL. */
export function hostAndPort({ host, port }: Pick<Target, "host" | "port">): string {
  return `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}

/**
 * The certificate is judged by us, after the handshake, while nothing was sent yet: an error of the handshake would not
 * say whose it is, of whom, and until when.
 */
function tlsOptions({ ca, servername, minVersion, alpn }: TlsSettings): tls.ConnectionOptions {
  return {
    rejectUnauthorized: false,
    secureContext: secureContext(ca, minVersion),
    ...(servername === undefined ? {} : { servername }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  };
}

const CONTEXTS = new Map<string, tls.SecureContext>();
const CONTEXTS_KEPT = 100;

/** Reading the machine's authorities takes longer than a whole handshake. */
function secureContext(ca: string | undefined, minVersion: tls.SecureVersion | undefined): tls.SecureContext {
  const key = `${minVersion ?? ""} ${ca ?? ""}`;
  const known = CONTEXTS.get(key);
  if (known !== undefined) return known;
  const made = tls.createSecureContext({
    ...(ca === undefined ? {} : { ca }),
    ...(minVersion === undefined ? {} : { minVersion }),
  });
  if (CONTEXTS.size >= CONTEXTS_KEPT) CONTEXTS.clear();
  CONTEXTS.set(key, made);
  return made;
}
