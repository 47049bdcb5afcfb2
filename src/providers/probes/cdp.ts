import { z } from "zod";
import type { Failure, Outcome, Phases } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { Devtools, Ended } from "./cdp/devtools.ts";
import { renderPage } from "./cdp/render-page.ts";
import { connect, hostAndPort, isConnected } from "./connect.ts";
import { askedFields, askJson, isJsonAnswer, refusedBy } from "./http/ask-json.ts";
import { address } from "./http/settings.ts";

const page = z
  .string()
  .max(65_536)
  .refine((text) => ["http:", "https:", "data:"].includes(URL.parse(text)?.protocol ?? ""), {
    error: "is no address that begins with http://, https:// or data:",
  });

const cdpSettings = z.strictObject({
  /** Of its HTTP endpoint; `ws://` and `wss://` lead to its WebSocket at once. */
  url: address("http:", "https:", "ws:", "wss:"),
  ...askedFields,
  /** Opened by the browser, loaded, painted, and closed again. */
  page: page.optional(),
  /** Text that the page must have in it. */
  contains: z.string().min(1).max(4_096).optional(),
});
type CdpSettings = z.output<typeof cdpSettings>;

/** That a browser takes commands by the DevTools protocol, and renders a page. */
export const cdp = defineProbe<CdpSettings>({
  type: "cdp",
  settings: cdpSettings,
  // Queries hold tokens now and then.
  subject: ({ url }) => url.replace(/[?#].*$/s, ""),
  host: ({ url }) => new URL(url).hostname,
  run: async (settings, context) => {
    const socketUrl = await findSocket(settings, context);
    if (!(socketUrl instanceof URL)) return socketUrl;
    return await converse(socketUrl, settings, context);
  },
});

async function findSocket(settings: CdpSettings, context: ProbeContext): Promise<URL | Outcome> {
  const url = new URL(settings.url);
  if (url.protocol === "ws:" || url.protocol === "wss:") return url;
  const versionUrl = new URL(url);
  versionUrl.pathname = `${url.pathname.replace(/\/+$/, "")}/json/version`;
  const { headers, ca, insecure } = settings;
  const answer = await askJson({ url: versionUrl, headers, ca, insecure }, context);
  if (!isJsonAnswer(answer)) return answer;
  const { where, httpStatus, json, phases } = answer;
  const down = (failure: Failure): Outcome => ({ status: "down", failure, phases });
  if (httpStatus === 500 && /host header/i.test(answer.text)) {
    const message = `${where} takes only addresses and localhost as its host: set the header \`host\`.`;
    return down({ class: "status", message });
  }
  if (httpStatus !== 200) return down(refusedBy(answer));
  const named = (json as { webSocketDebuggerUrl?: unknown } | null | undefined)?.webSocketDebuggerUrl;
  const found = typeof named === "string" ? URL.parse(named) : null;
  if (found === null)
    return down({ class: "protocol", message: `${where} answers, and names no WebSocket of a browser.` });
  // Only its path: a browser behind a proxy calls itself by a name that is not ours, and the guard was asked for ours.
  // Set part by part: as a reference, a path that begins with two slashes would name another host.
  const socketUrl = new URL(url);
  socketUrl.pathname = found.pathname;
  socketUrl.search = found.search || url.search;
  socketUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return socketUrl;
}

async function converse(url: URL, settings: CdpSettings, context: ProbeContext): Promise<Outcome> {
  const isSecure = url.protocol === "wss:";
  const { ca, insecure, headers } = settings;
  const target = {
    host: url.hostname,
    port: Number(url.port || (isSecure ? 443 : 80)),
    tls: isSecure ? { ca, insecure, alpn: ["http/1.1"] } : null,
    isHttp: true,
  };
  const connected = await connect({ ...target, isHttp: true }, context);
  if (!isConnected(connected)) return connected;
  const devtools = new Devtools(connected.socket, hostAndPort(target), context);
  const startedMs = context.clock.monotonicMs();
  let phases: Phases = connected.phases;
  let observed: Outcome["observed"] = {};
  try {
    await devtools.open({ url, headers });
    const { product, protocolVersion } = await devtools.ask("Browser.getVersion");
    const answeredMs = context.clock.monotonicMs();
    phases = { ...phases, firstByteMs: answeredMs - startedMs };
    observed = { browser: textOf(product), protocol: textOf(protocolVersion) };
    if (settings.page === undefined) return { status: "up", phases, observed };
    const rendered = await renderPage(devtools, { url: settings.page, contains: settings.contains });
    phases = { ...phases, transferMs: context.clock.monotonicMs() - answeredMs };
    return { status: "up", phases, observed: { ...observed, ...rendered } };
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    return { status: "down", failure: error.failure, phases, observed };
  } finally {
    devtools.close();
  }
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value.slice(0, 100) : null;
}
