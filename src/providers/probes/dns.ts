import { Resolver } from "node:dns/promises";
import { isIP } from "node:net";
import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";
import { guardedLookup } from "../../foundation/guarded-connect.ts";
import { connectionFailure, timedOut } from "./connection-failure.ts";
import { hostName, port } from "./host-and-port.ts";

const dnsSettings = z.strictObject({
  /** What is looked up. */
  name: hostName,
  record: z.enum(["A", "AAAA", "CNAME", "MX", "TXT", "NS", "SRV", "CAA", "SOA"]).default("A"),
  /** Who is asked. Left out: the resolvers of the prober's machine. */
  resolver: hostName.optional(),
  resolverPort: port.default(53),
  /** Records that there must be, in the form in which they are shown. Left out: any. */
  values: z.array(z.string().min(1).max(4_096)).min(1).max(50).optional(),
  /** `any`: at least one of them; `all`: these and perhaps others; `exact`: these and no other. */
  match: z.enum(["any", "all", "exact"]).default("all"),
});
type DnsSettings = z.output<typeof dnsSettings>;

/** What a resolver says of a name. */
export const dns = defineProbe<DnsSettings>({
  type: "dns",
  settings: dnsSettings,
  subject: ({ name, record, resolver }) =>
    `${record} ${name}${resolver === undefined ? "" : ` at ${resolver}`}`,
  host: ({ resolver, name }) => resolver ?? name,
  run: async (settings, context) => {
    const { clock } = context;
    const startedMs = clock.monotonicMs();
    try {
      const server = await serverOf(settings, context);
      const askedMs = clock.monotonicMs();
      const found = await look(settings, server, context);
      const phases = { dnsMs: askedMs - startedMs, firstByteMs: clock.monotonicMs() - askedMs };
      const observed = { records: found.length, first: found[0] ?? null };
      const failure = unmet(settings, found);
      return failure === null
        ? { status: "up", phases, observed }
        : { status: "down", failure, phases, observed };
    } catch (error) {
      const waitedMs = clock.monotonicMs() - startedMs;
      return { status: "down", failure: failureOf(error, settings, waitedMs, context) } satisfies Outcome;
    }
  },
});

/** An address of a user's is guarded like any other. Null: the machine's own resolvers. */
async function serverOf(settings: DnsSettings, { network, signal }: ProbeContext): Promise<string | null> {
  const { resolver, resolverPort } = settings;
  if (resolver === undefined) return null;
  const [address = ""] = await guardedLookup(resolver, network);
  signal.throwIfAborted();
  return isIP(address) === 6 ? `[${address}]:${resolverPort}` : `${address}:${resolverPort}`;
}

async function look(settings: DnsSettings, server: string | null, context: ProbeContext): Promise<string[]> {
  const { signal, timeoutMs } = context;
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 });
  if (server !== null) resolver.setServers([server]);
  const onAbort = () => resolver.cancel();
  signal.addEventListener("abort", onAbort);
  try {
    return await ask(resolver, settings);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Each record in its usual text, without the dot at the end of names. */
async function ask(resolver: Resolver, { name, record }: DnsSettings): Promise<string[]> {
  switch (record) {
    case "MX":
      return (await resolver.resolveMx(name)).map(({ priority, exchange }) => `${priority} ${exchange}`);
    case "TXT":
      return (await resolver.resolveTxt(name)).map((parts) => parts.join(""));
    case "SRV":
      return (await resolver.resolveSrv(name)).map(
        (srv) => `${srv.priority} ${srv.weight} ${srv.port} ${srv.name}`,
      );
    case "CAA":
      return (await resolver.resolveCaa(name)).map(({ critical, ...properties }) => {
        const [[tag, value] = []] = Object.entries(properties).filter(([key]) => key !== "type");
        return `${critical} ${tag} "${value}"`;
      });
    case "SOA": {
      const { nsname, hostmaster, serial } = await resolver.resolveSoa(name);
      return [`${nsname} ${hostmaster} ${serial}`];
    }
    default:
      return (await resolver.resolve(name, record)) as string[];
  }
}

function unmet({ name, record, values, match }: DnsSettings, found: readonly string[]): Failure | null {
  if (values === undefined) return null;
  const fold = (text: string) => (record === "TXT" ? text : text.toLowerCase().replace(/\.$/, ""));
  const have = new Set(found.map(fold));
  const wanted = new Set(values.map(fold));
  const missing = [...wanted].filter((value) => !have.has(value));
  const others = [...have].filter((value) => !wanted.has(value));
  const shown = found.slice(0, 5).join(", ");
  const fails = (message: string): Failure => ({
    class: "assertion",
    message: `${record} ${name} is ${shown}: ${message}.`,
  });
  if (match === "any")
    return missing.length < wanted.size ? null : fails("none of what is expected is among them");
  if (missing.length > 0) return fails(`${missing.slice(0, 5).join(", ")} is missing`);
  return match === "exact" && others.length > 0
    ? fails(`${others.slice(0, 5).join(", ")} was not expected`)
    : null;
}

// Source: the error codes of node:dns, which are those of c-ares.
const ANSWERS: Readonly<Record<string, string>> = {
  ENOTFOUND: "there is no such name (NXDOMAIN)",
  ENODATA: "the name has no record of that type",
  ESERVFAIL: "the server failed to find out (SERVFAIL)",
  EREFUSED: "the server refuses to tell (REFUSED)",
  ENOTIMP: "the server does not do such questions (NOTIMP)",
};

function failureOf(
  error: unknown,
  settings: DnsSettings,
  waitedMs: number,
  { signal }: ProbeContext,
): Failure {
  const what = dns.subject(settings);
  const code = errorCodeOf(error) ?? "";
  const answer = ANSWERS[code];
  if (signal.aborted || code === "ETIMEOUT" || code === "ECANCELLED")
    return timedOut(what, waitedMs, "no answer");
  if (answer !== undefined) return { class: "dns", message: `${what}: ${answer}.` };
  if (code === "EFORMERR" || code === "EBADRESP")
    return { class: "protocol", message: `${what}: what came is no answer by DNS (${code}).` };
  if (code === "EBADNAME" || code === "EBADQUERY")
    return { class: "dns", message: `${what}: ${messageOf(error)}.` };
  return connectionFailure(error, what, "connect");
}
