import net, { isIP } from "node:net";
import tls from "node:tls";
import { type Clock, systemClock } from "./clock.ts";
import { AppError, errorCodeOf } from "./errors.ts";
import { ALLOW_HINT, parseNetworks, refusedAddress } from "./safe-fetch.ts";
import { systemResolve } from "./system-resolve.ts";

/**
 * Connections to addresses that a user supplied. A name is resolved once, every address that it has is checked, and the
 * socket goes to one of exactly these: what the text of a host looks like (`0x7f.1`, `2130706433`) never matters.
 */

/** What an administrator allowed. */
export type NetworkPolicy = {
  /** Networks that may be reached beside the public ones: CIDR. */
  readonly allowNetworks: readonly string[];
  /** Ports that HTTP may be spoken to although they are kept for other protocols; see blocked-ports.ts. */
  readonly allowPorts?: readonly number[];
};

/** All addresses of a host, as literals. It is asked for every text that is no literal itself. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** `blocked`: refused, and nothing was asked. `dns`: the name has no address, or no server could tell. */
export type GuardClass = "blocked" | "dns";

/** What the guard says. What the system says (ECONNREFUSED, CERT_HAS_EXPIRED) is thrown as it comes. */
export class GuardError extends AppError {
  readonly class: GuardClass;

  constructor(kind: GuardClass, message: string, options: { hint: string; cause?: unknown }) {
    const transient = kind === "dns" && errorCodeOf(options.cause) !== "ENOTFOUND";
    super(transient ? "unavailable" : "bad_request", message, { ...options, details: { class: kind } });
    this.class = kind;
  }
}

/** As the end of a sentence, for where a hint has no place of its own. */
export function refusalOf(error: GuardError): string {
  const message = error.message.replace(/\.$/, "");
  return error.hint === ALLOW_HINT
    ? `${message} (\`signalbox network allow\` lets the project reach it)`
    : message;
}

/**
 * The addresses of a host name or literal (brackets allowed), each of them allowed; one that is not refuses the host,
 * for a mix of public and private ones is how DNS rebinding begins. Policy null: nothing is refused. Names under
 * `.localhost` are 127.0.0.1 whatever the resolver knows of them (RFC 6761, 6.3).
 * @throws GuardError
 */
export async function guardedLookup(
  host: string,
  policy: NetworkPolicy | null,
  resolve: Resolve = systemResolve,
): Promise<string[]> {
  const name = bareHost(host);
  const found = isIP(name) === 0 ? await addressesOf(name, resolve) : [name];
  const addresses = [...new Set(found)];
  if (policy === null) return addresses;
  const refused = refusedAddress(addresses, parseNetworks(policy.allowNetworks));
  if (refused === null) return addresses;
  throw new GuardError("blocked", `${name} is at ${refused}, which is no public address.`, {
    hint: ALLOW_HINT,
  });
}

export type GuardedConnect = {
  /** As in a URL or in a driver's settings; it is also what a certificate must be made out for. */
  readonly host: string;
  readonly port: number;
  /** Absent: a plain connection. `servername` and the name to verify default to the host. */
  readonly tls?: tls.ConnectionOptions;
  readonly policy: NetworkPolicy | null;
  /** Ends the attempt; once connected, the socket is the caller's. */
  readonly signal: AbortSignal;
  readonly resolve?: Resolve;
  readonly clock?: Pick<Clock, "monotonicMs">;
  /** Told when a step begins after the look-up: where an attempt was when its signal ended it. */
  readonly onStep?: (step: "connect" | "tls") => void;
};

export type GuardedConnection = {
  readonly socket: net.Socket | tls.TLSSocket;
  /** The one that it is connected to. */
  readonly address: string;
  /** How long each step took, by the monotonic clock. */
  readonly phases: { readonly dnsMs: number; readonly connectMs: number; readonly tlsMs?: number };
};

/**
 * Connects to the first of the host's checked addresses that answers. When it rejects, no socket is left.
 * @throws GuardError; the signal's reason; or the system's error, with its `code`.
 */
export async function connectGuarded(asked: GuardedConnect): Promise<GuardedConnection> {
  const { host, port, policy, signal, resolve, clock = systemClock } = asked;
  signal.throwIfAborted();
  const startedMs = clock.monotonicMs();
  const addresses = await unlessAborted(guardedLookup(host, policy, resolve), signal);
  const resolvedMs = clock.monotonicMs();
  asked.onStep?.("connect");
  const plain = await connectFirst(addresses, port, signal);
  const connectedMs = clock.monotonicMs();
  const address = plain.remoteAddress ?? "";
  const phases = { dnsMs: resolvedMs - startedMs, connectMs: connectedMs - resolvedMs };
  if (asked.tls === undefined) return { socket: plain, address, phases };
  asked.onStep?.("tls");
  const secure = await secured(plain, bareHost(host).replace(/\.$/, ""), asked.tls, signal);
  return { socket: secure, address, phases: { ...phases, tlsMs: clock.monotonicMs() - connectedMs } };
}

function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

async function addressesOf(name: string, resolve: Resolve): Promise<readonly string[]> {
  if (/(^|\.)[^.]+\.localhost\.?$/i.test(name)) return ["127.0.0.1"];
  const found = await resolve(name).catch((cause: unknown) => {
    throw unresolved(name, cause);
  });
  if (found.length > 0 && found.every((address) => isIP(address) !== 0)) return found;
  throw unresolved(name, undefined);
}

function unresolved(name: string, cause: unknown): GuardError {
  const code = errorCodeOf(cause);
  if (cause === undefined || code === "ENOTFOUND")
    return new GuardError("dns", `There is no host ${name}.`, { hint: "Check its spelling.", cause });
  return new GuardError("dns", `The host ${name} could not be resolved (${code ?? "unknown"}).`, {
    hint: "Check this machine's DNS; the request can be repeated.",
    cause,
  });
}

/** After so long without an answer the next address is tried beside it. Source: RFC 8305, 5 and 8. */
const ATTEMPT_DELAY_MS = 250;

function connectFirst(addresses: readonly string[], port: number, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const queue = alternating(addresses);
    const open = new Set<net.Socket>();
    const failures: Error[] = [];
    let timer: NodeJS.Timeout | undefined;
    const end = (winner: net.Socket | null, reason: unknown) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      for (const socket of open) if (socket !== winner) socket.destroy();
      // Node's own listeners stay: by them the socket ends when the other side does.
      if (winner) resolve(winner.removeAllListeners("connect").removeAllListeners("error"));
      else reject(reason);
    };
    const onAbort = () => end(null, signal.reason);
    const tryNext = () => {
      clearTimeout(timer);
      const host = queue.shift();
      if (host === undefined) return;
      const socket = net.connect({ host, port, noDelay: true });
      open.add(socket);
      socket.once("connect", () => end(socket, null));
      socket.on("error", (error) => {
        open.delete(socket);
        failures.push(error);
        if (queue.length > 0) tryNext();
        else if (open.size === 0) end(null, mostTelling(failures));
      });
      if (queue.length > 0) timer = setTimeout(tryNext, ATTEMPT_DELAY_MS);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    tryNext();
  });
}

/** The families in turn, beginning with the resolver's first (RFC 8305, 4): a dead one costs one delay, not many. */
function alternating(addresses: readonly string[]): string[] {
  const first = addresses.filter((address) => isIP(address) === isIP(addresses[0] ?? ""));
  const other = addresses.filter((address) => !first.includes(address));
  return Array.from({ length: Math.max(first.length, other.length) }, (_, at) => [first[at], other[at]])
    .flat()
    .filter((address) => address !== undefined);
}

/** Says least of the peer: this machine has no way there, most often for want of IPv6. */
const OWN_NETWORK = new Set(["ENETUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EHOSTUNREACH"]);

function mostTelling(failures: readonly Error[]): Error | undefined {
  return failures.find((error) => !OWN_NETWORK.has(errorCodeOf(error) ?? "")) ?? failures[0];
}

function secured(
  socket: net.Socket,
  name: string,
  options: tls.ConnectionOptions,
  signal: AbortSignal,
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const servername = isIP(name) === 0 ? { servername: name } : {};
    const secure = tls.connect({ host: name, ...servername, ...options, socket });
    const fail = (reason: unknown) => {
      signal.removeEventListener("abort", onAbort);
      secure.destroy();
      socket.destroy();
      reject(reason);
    };
    const onAbort = () => fail(signal.reason);
    secure.on("error", fail);
    secure.once("secureConnect", () => {
      signal.removeEventListener("abort", onAbort);
      secure.off("error", fail);
      resolve(secure);
    });
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
  });
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
