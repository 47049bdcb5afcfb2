import type { X509Certificate } from "node:crypto";
import { TLSSocket } from "node:tls";
import { z } from "zod";
import type { Failure } from "../../checks/model.ts";
import { defineProbe } from "../../checks/probe-kind.ts";
import { connect, hostAndPort, isConnected } from "./connect.ts";
import { hostName, port } from "./host-and-port.ts";
import { authorities } from "./http/settings.ts";
import { daysLeft, expiresSoon } from "./peer-certificate.ts";

const days = z.int().min(0).max(365);

const tlsSettings = z.strictObject({
  host: hostName,
  port: port.default(443),
  /** The name that is asked for and that the certificate must have. Default: the host. */
  servername: hostName.optional(),
  /** Degraded once a certificate of the chain is good for less than so many days; and down. 0: never. */
  warnDays: days.default(14),
  criticalDays: days.default(0),
  minVersion: z.enum(["TLSv1.2", "TLSv1.3"]).default("TLSv1.2"),
  ca: authorities.optional(),
});
type TlsSettings = z.output<typeof tlsSettings>;

/** A handshake, and a certificate that stays good for a while. */
export const tls = defineProbe<TlsSettings>({
  type: "tls",
  settings: tlsSettings,
  subject: (settings) => `tls://${hostAndPort(settings)}`,
  host: ({ host }) => host,
  run: async (settings, context) => {
    const { host, servername, ca, minVersion, warnDays, criticalDays } = settings;
    const connected = await connect({ host, port: settings.port, tls: { servername, ca } }, context);
    if (!isConnected(connected)) return connected;
    const { socket, certificate, address, phases } = connected;
    const version = socket instanceof TLSSocket ? socket.getProtocol() : null;
    socket.on("error", () => {}).destroy();
    const now = context.clock.now();
    const soonest = certificate === null ? null : soonestOf(certificate);
    const observed = {
      address,
      version,
      ...(soonest === null
        ? {}
        : { daysLeft: daysLeft(soonest, now), validTo: soonest.validToDate.toISOString() }),
    };
    if (minVersion === "TLSv1.3" && version !== "TLSv1.3") {
      const failure: Failure = {
        class: "tls",
        message: `${hostAndPort(settings)} speaks ${version} at best, not TLSv1.3.`,
      };
      return { status: "down", failure, phases, observed };
    }
    const critical = soonest && expiresSoon(soonest, criticalDays, now);
    if (critical) return { status: "down", failure: critical, phases, observed };
    const warning = soonest && expiresSoon(soonest, warnDays, now);
    if (warning) return { status: "degraded", failure: warning, phases, observed };
    return { status: "up", phases, observed };
  },
});

const CHAIN_LENGTH_MAX = 10;

/** The one of the chain that ends first: an intermediate that expires takes the whole site with it. */
function soonestOf(certificate: X509Certificate): X509Certificate {
  let soonest = certificate;
  let next: X509Certificate | undefined = certificate;
  for (let i = 0; next !== undefined && i < CHAIN_LENGTH_MAX; i++) {
    if (next.validToDate < soonest.validToDate) soonest = next;
    next = next.issuerCertificate;
  }
  return soonest;
}
