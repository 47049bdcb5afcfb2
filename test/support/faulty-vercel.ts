import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { systemClock } from "../../src/foundation/clock.ts";
import { createRealVercel, type RealVercel } from "./real-vercel.ts";

/** What happens to a request on its way. `carriedOut`: whether the other side has acted on it all the same. */
export type Fault =
  | { readonly kind: "delay"; readonly ms: number }
  /** The connection ends without an answer. */
  | { readonly kind: "drop"; readonly carriedOut: boolean }
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
      readonly carriedOut?: boolean;
    }
  /** Something else is done than what was asked for, and answered so. */
  | { readonly kind: "instead"; readonly act: () => Promise<unknown>; readonly status: number }
  /** The other side's answer, changed. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests name the parts that they change
  | { readonly kind: "change"; readonly change: (body: any) => unknown };

export type Asked = { readonly method: string; readonly path: string; readonly body: string };

export type FaultyVercel = {
  readonly url: string;
  /** What Vercel has and the dock has not, to be set as a test needs it. */
  readonly real: RealVercel;
  readonly asked: Asked[];
  /** The next `times` requests (`POST /v13/deployments`) that match meet the fault. Default: all of them. */
  meet(request: RegExp, fault: Fault, times?: number): void;
  /** No more faults, and nothing was asked. */
  reset(): void;
  close(): Promise<void>;
};

/**
 * Stands before the dock as the real Vercel would be: it passes requests on, with the real one's semantics where the
 * dock has others, and lets them meet faults.
 */
export async function startFaultyVercel(upstream: () => string): Promise<FaultyVercel> {
  const asked: Asked[] = [];
  let faults: { request: RegExp; fault: Fault; left: number }[] = [];
  const real = createRealVercel();

  const forward = async (request: IncomingMessage, body: Buffer) => {
    const headers = { ...request.headers } as Record<string, string>;
    for (const name of ["host", "connection", "content-length", "transfer-encoding"]) delete headers[name];
    const { method = "GET", url = "/" } = request;
    const send = body.length === 0 ? {} : { body: new Uint8Array(body) };
    const answer = await fetch(upstream() + url, { method, headers, ...send });
    return { status: answer.status, type: answer.headers.get("content-type"), body: await answer.text() };
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const bytes = await buffer(request);
    const body = bytes.toString("utf8");
    const { pathname } = new URL(request.url ?? "/", "http://x");
    const method = request.method ?? "GET";
    const key = `${method} ${pathname}`;
    asked.push({ method, path: pathname, body });
    const met = faults.find(({ request, left }) => left > 0 && request.test(key));
    if (met) met.left -= 1;
    const fault = met?.fault;
    if (fault?.kind === "delay") await systemClock.sleep(fault.ms);
    if (fault?.kind === "instead") {
      await fault.act();
      return void response.writeHead(fault.status).end();
    }
    const acts = !fault || !("carriedOut" in fault || fault.kind === "answer") || fault.carriedOut === true;
    const own = acts ? real.answer(key, request.url ?? "/", body) : null;
    const answer = acts ? (own ?? (await forward(request, bytes))) : null;
    const shown = answer && real.change(key, answer);
    if (fault?.kind === "drop") return void response.destroy();
    if (fault?.kind === "answer") {
      const { status, headers = {} } = fault;
      const isText = typeof fault.body === "string";
      response.writeHead(status, { "content-type": isText ? "text/html" : "application/json", ...headers });
      response.end(isText ? fault.body : JSON.stringify(fault.body ?? {}));
      return;
    }
    if (!shown) return void response.destroy();
    response.writeHead(shown.status, { "content-type": shown.type ?? "application/json" });
    const changed =
      fault?.kind === "change" ? JSON.stringify(fault.change(JSON.parse(shown.body))) : shown.body;
    response.end(shown.status === 204 ? undefined : changed);
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    real,
    asked,
    meet(request, fault, times = Number.POSITIVE_INFINITY) {
      faults.push({ request, fault, left: times });
    },
    reset() {
      faults = [];
      asked.length = 0;
      real.reset();
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}
