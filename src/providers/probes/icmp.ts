import { execFile } from "node:child_process";
import { isIP } from "node:net";
import { z } from "zod";
import type { Failure } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { guardedLookup } from "../../foundation/guarded-connect.ts";
import { connectionFailure, timedOut } from "./connection-failure.ts";
import { hostName } from "./host-and-port.ts";
import { type Echoes, readPing } from "./icmp/read-ping.ts";

const icmpSettings = z.strictObject({
  host: hostName,
  packets: z.int().min(1).max(10).default(3),
  /** Degraded where more than so many of 100 are lost; down where all are. */
  maxLossPercent: z.int().min(0).max(99).default(0),
});
type IcmpSettings = z.output<typeof icmpSettings>;

/** Echoes, by the system's `ping`: raw sockets are for root alone, which the prober is not, and `ping` may. */
export const icmp = defineProbe<IcmpSettings>({
  type: "icmp",
  settings: icmpSettings,
  subject: ({ host }) => `icmp://${host}`,
  host: ({ host }) => host,
  run: async (settings, context) => {
    const { clock, signal, network } = context;
    const startedMs = clock.monotonicMs();
    try {
      const [address = ""] = await guardedLookup(settings.host, network);
      const dnsMs = clock.monotonicMs() - startedMs;
      // A program's argument: nothing but an address may come through.
      if (isIP(address) === 0 || signal.aborted)
        return { status: "down", failure: timedOut(settings.host, dnsMs, "its name could not be looked up") };
      const said = await ping(address, settings, context);
      const echoes = readPing(said.stdout, settings.packets);
      const waitedMs = clock.monotonicMs() - startedMs;
      const failure = failureOf(said, echoes, settings, waitedMs);
      const { sent, received, rttMs } = echoes;
      const lossPercent = Math.round((100 * (sent - received)) / sent);
      const observed = { address, packets: sent, lossPercent, ...(rttMs === null ? {} : { rttMs }) };
      if (failure?.class === "unsupported") return { status: "down", failure, observed: { address } };
      if (failure === null) return { status: "up", phases: { dnsMs }, observed };
      return { status: received > 0 ? "degraded" : "down", failure, phases: { dnsMs }, observed };
    } catch (error) {
      return { status: "down", failure: connectionFailure(error, settings.host, "dns") };
    }
  },
});

type Said = { readonly code: number | string | null; readonly stdout: string; readonly stderr: string };

/** Where systems have it; of the prober's own environment nothing is handed on. */
const ENVIRONMENT = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C" };
/** Closer together they are for root alone. */
const INTERVAL_S = "0.2";

function ping(
  address: string,
  { packets }: IcmpSettings,
  { signal, timeoutMs }: ProbeContext,
): Promise<Said> {
  const waitS = String(Math.max(1, Math.ceil(timeoutMs / 1_000)));
  const args = ["-n", "-c", String(packets), "-i", INTERVAL_S, "-W", waitS, address];
  return new Promise((resolve) => {
    const options = { env: ENVIRONMENT, signal, killSignal: "SIGKILL", maxBuffer: 65_536 } as const;
    execFile("ping", args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? null), stdout, stderr });
    });
  });
}

const INSTALL = "install it (Debian: apt install iputils-ping), or check by tcp";
const ALLOW = "set net.ipv4.ping_group_range, or give it cap_net_raw";

function failureOf(said: Said, echoes: Echoes, settings: IcmpSettings, waitedMs: number): Failure | null {
  const { host, maxLossPercent } = settings;
  const { sent, received, unreachable } = echoes;
  const cannot = (why: string): Failure => ({ class: "unsupported", message: `${why}.` });
  const complaint = said.stderr
    .trim()
    .replace(/\s*\n\s*/g, "; ")
    .slice(0, 200);
  if (said.code === "ENOENT") return cannot(`This machine has no program ping: ${INSTALL}`);
  if (/not permitted|permission denied|are you root/i.test(complaint))
    return cannot(`ping may not send echoes here (${complaint}): ${ALLOW}`);
  if (received === 0 && (unreachable || /unreachable|no route/i.test(complaint)))
    return { class: "unreachable", message: `${host}: there is no route to the host.` };
  // 1: no echo came back (BSD: 2, without a complaint); null and ABORT_ERR: ended by us.
  const isAnswer = said.code === null || said.code === "ABORT_ERR" || said.code === 0 || said.code === 1;
  if (!isAnswer && (said.code !== 2 || complaint !== ""))
    return cannot(`ping does not work here (${said.code}): ${complaint || INSTALL}`);
  if (received === 0) return timedOut(host, waitedMs, `none of ${sent} echoes came back`);
  if (100 * (sent - received) <= maxLossPercent * sent) return null;
  const limit = `more than ${maxLossPercent} %`;
  return { class: "timeout", message: `${host}: ${sent - received} of ${sent} echoes were lost, ${limit}.` };
}
