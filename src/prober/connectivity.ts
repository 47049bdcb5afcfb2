import { connect, isIP } from "node:net";
import type { Clock } from "../foundation/clock.ts";
import { AppError } from "../foundation/errors.ts";

/** Something that is always there: while none of them answers, it is we who are cut off. */
export type Canary = { readonly host: string; readonly port: number };

export type Connectivity = {
  /** Asks now, unless an answer from after `since` (monotonic) is there. Null: there was never anything to ask. */
  online(since: number): Promise<boolean | null>;
  /** The last answer. */
  last(): boolean | null;
  close(): void;
};

const CONNECT_MS = 2_000;
const BACKGROUND_MS = 30_000;
/** A canary that nobody has reached for so long says nothing by its silence. */
const REMEMBERED_MS = 3_600_000;
const CANARIES_MIN = 2;

/** `https://example.com`, `1.1.1.1:53`. @throws AppError naming what is neither, or that one alone is not enough. */
export function parseCanaries(texts: readonly string[]): Canary[] {
  const canaries = texts.map((text) => {
    const url = URL.parse(text.includes("://") ? text : `tcp://${text}`);
    const port = Number(url?.port || { "http:": 80, "https:": 443 }[url?.protocol ?? ""]);
    if (url?.hostname && port > 0) return { host: url.hostname.replace(/^\[|\]$/g, ""), port };
    throw new AppError("bad_request", `"${text}" is no canary.`, {
      hint: "Write an address or host:port, for example https://example.com,1.1.1.1:53.",
    });
  });
  if (canaries.length === 1)
    throw new AppError("bad_request", "One canary alone cannot tell its own end from ours.", {
      hint: `Name at least ${CANARIES_MIN} that do not depend on each other.`,
    });
  return canaries;
}

/** Our own machine is reached without any network. */
export function isLocalHost(host: string | null): boolean {
  if (host === null || host.startsWith("/")) return true;
  const name = host.replace(/^\[|\]$/g, "").toLowerCase();
  if (isIP(name) === 4) return name.startsWith("127.");
  return name === "::1" || name === "localhost" || name.endsWith(".localhost");
}

/** Asks the canaries when somebody wants to know, and every half a minute. */
export function watchConnectivity(
  deps: { clock: Pick<Clock, "monotonicMs"> },
  canaries: readonly Canary[],
): Connectivity {
  let answered: { online: boolean; askedAt: number } | null = null;
  let lastOnlineAt: number | null = null;
  let running: { promise: Promise<boolean | null>; askedAt: number } | null = null;

  async function ask(askedAt: number): Promise<boolean | null> {
    const online = await anyAnswers(canaries);
    if (online) lastOnlineAt = askedAt;
    const known = lastOnlineAt !== null && askedAt - lastOnlineAt <= REMEMBERED_MS;
    answered = online || known ? { online, askedAt } : null;
    running = null;
    return answered?.online ?? null;
  }

  function begin(): Promise<boolean | null> {
    const askedAt = deps.clock.monotonicMs();
    const promise = ask(askedAt);
    running = { promise, askedAt };
    return promise;
  }

  const background = setInterval(() => void (running ?? begin()), BACKGROUND_MS).unref();
  if (canaries.length > 0) void begin();
  else clearInterval(background);
  return {
    async online(since) {
      if (canaries.length === 0) return null;
      if (answered && answered.askedAt >= since) return answered.online;
      if (running && running.askedAt < since) await running.promise;
      return running ? running.promise : begin();
    },
    last: () => answered?.online ?? null,
    close: () => clearInterval(background),
  };
}

/** Resolves with the first that answers, or once all have failed. */
async function anyAnswers(canaries: readonly Canary[]): Promise<boolean> {
  const end = new AbortController();
  try {
    await Promise.any(canaries.map((canary) => reach(canary, end.signal)));
    return true;
  } catch {
    return false;
  } finally {
    end.abort();
  }
}

function reach({ host, port }: Canary, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, signal });
    socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error("no connection in time")));
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
}
