import type { X509Certificate } from "node:crypto";
import type tls from "node:tls";
import type { Failure } from "../../checks/model.ts";

const DAY_MS = 86_400_000;

export type Peer = {
  /** Asked of the socket once: node takes it out of the chain that OpenSSL keeps, and has none the second time. */
  readonly certificate: X509Certificate | null;
  readonly name: string;
};

/** Why the certificate of a peer is not to be trusted; null: it is. */
export function certificateFailure(
  socket: tls.TLSSocket,
  { certificate, name }: Peer,
  now: Date,
): Failure | null {
  if (socket.authorized) return null;
  // Node's type says Error; it is the code of one.
  const code = String(socket.authorizationError);
  const reason = certificate === null ? "the server sent none" : reasonOf(code, certificate, name, now);
  return { class: "certificate", message: `The certificate of ${name} is not to be trusted: ${reason}.` };
}

// Source: the codes of X509_verify_cert (openssl-verification-options(1)), as node names them.
function reasonOf(code: string, certificate: X509Certificate, name: string, now: Date): string {
  switch (code) {
    case "CERT_HAS_EXPIRED":
      if (certificate.validToDate > now) return "another one of its chain has expired";
      return `it expired on ${day(certificate.validToDate)}, ${daysBetween(certificate.validToDate, now)} days ago`;
    case "CERT_NOT_YET_VALID":
      return `it is not valid before ${certificate.validFromDate.toISOString()}`;
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `it is for ${namesOf(certificate)}, not for ${name}`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return "it is signed by itself (give it as `ca` if that is meant)";
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return `its chain ends at an authority that is not known here (${issuerOf(certificate)})`;
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return `its issuer is not known here (${issuerOf(certificate)}), or the server leaves out a part of the chain`;
    case "CERT_REVOKED":
      return "it was revoked";
    default:
      return `${code}`;
  }
}

/** Whole days until it expires; negative once it has. */
export function daysLeft(certificate: X509Certificate, now: Date): number {
  return daysBetween(now, certificate.validToDate);
}

/** It is still good, for less than so many days. */
export function expiresSoon(certificate: X509Certificate, withinDays: number, now: Date): Failure | null {
  const left = daysLeft(certificate, now);
  if (left >= withinDays) return null;
  const until = day(certificate.validToDate);
  return {
    class: "certificate",
    message: `The certificate expires on ${until}, in ${left} days; the warning begins at ${withinDays}.`,
  };
}

function daysBetween(from: Date, to: Date): number {
  return Math.floor((to.getTime() - from.getTime()) / DAY_MS);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

const NAMES_SHOWN = 3;

function namesOf({ subjectAltName = "", subject }: X509Certificate): string {
  const names = subjectAltName
    .split(", ")
    .map((entry) => entry.replace(/^(DNS|IP Address):/, ""))
    .filter(Boolean);
  if (names.length === 0) return `${field(subject, "CN")} (without alternative names)`;
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : "";
  return names.slice(0, NAMES_SHOWN).join(", ") + more;
}

function issuerOf({ issuer }: X509Certificate): string {
  return field(issuer, "CN") || field(issuer, "O") || "without a name";
}

function field(name: string | undefined, key: string): string {
  const line = (name ?? "").split("\n").find((each) => each.startsWith(`${key}=`));
  return line?.slice(key.length + 1) ?? "";
}
