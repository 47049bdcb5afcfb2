import http, { type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { errorCodeOf } from "../foundation/errors.ts";
import { route } from "./answer.ts";
import { PAGES } from "./error-page.ts";
import { Exchange, type Gateway, GatewayResponse } from "./exchange.ts";
import { addForwarded, fail } from "./forward.ts";
import { type ScannedHeaders, scanHeaders } from "./request-headers.ts";
import { passedHeaders } from "./response-headers.ts";
import type { Served } from "./table.ts";
import { parseTarget } from "./url-path.ts";
import { joinWebSocket } from "./websocket.ts";

const CONNECT_RETRY_MS = 2_000;
const BACKOFF_MS = 50;
const HANDSHAKE_TIMEOUT_MS = 30_000;

/** Takes a WebSocket handshake to the release's process; after its 101 the two sockets are one pipe. */
export function upgrade(gateway: Gateway, req: IncomingMessage, socket: Socket, head: Buffer): void {
  const res = new GatewayResponse(req);
  // Whatever is not a 101 is an ordinary answer, after which the connection ends.
  res.shouldKeepAlive = false;
  res.assignSocket(socket);
  res.once("finish", () => socket.destroySoon());
  socket.on("error", () => socket.destroy());
  const exchange = new Exchange(gateway, req, res);
  const scanned = scanHeaders(req.rawHeaders);
  const target = parseTarget(req.url ?? "");
  exchange.path = target?.path ?? "";
  if (target === null) return void fail(exchange, PAGES.badRequest("The request's path is not one."));
  const proceed = () => {
    if (socket.destroyed) return;
    const served = route(exchange, scanned, target, proceed);
    if (served === null) return;
    exchange.assign(served);
    if (served.socket === null) return void fail(exchange, PAGES.notFound);
    const handshake = { exchange, served, path: target.path + target.query, socket, head };
    connect(handshake, upgradeHeaders(exchange, scanned));
  };
  proceed();
}

type Handshake = {
  readonly exchange: Exchange;
  readonly served: Served;
  readonly path: string;
  readonly socket: Socket;
  readonly head: Buffer;
};

function upgradeHeaders(exchange: Exchange, scanned: ScannedHeaders): string[] {
  return [...addForwarded(exchange, scanned), "connection", "Upgrade", "upgrade", "websocket"];
}

function connect(handshake: Handshake, headers: string[]): void {
  const { exchange, served, path, socket } = handshake;
  const { clock } = exchange.gateway;
  const attempt = http.request({
    socketPath: served.socket ?? "",
    path,
    method: exchange.req.method ?? "GET",
    headers,
    setHost: false,
    agent: false,
    timeout: HANDSHAKE_TIMEOUT_MS,
  });
  const giveUp = () => attempt.destroy();
  socket.once("close", giveUp);
  attempt.once("upgrade", (answer, upstream, early) => {
    socket.off("close", giveUp);
    splice(handshake, answer, upstream as Socket, early);
  });
  attempt.once("response", (answer) => relay(handshake, answer));
  attempt.once("timeout", () => {
    fail(exchange, PAGES.timeout);
    attempt.destroy();
  });
  attempt.once("error", (error) => {
    socket.off("close", giveUp);
    if (socket.destroyed || exchange.status !== 0) return;
    const away = errorCodeOf(error) === "ECONNREFUSED" || errorCodeOf(error) === "ENOENT";
    if (!away) return fail(exchange, PAGES.broken);
    if (clock.monotonicMs() - exchange.startedMs >= CONNECT_RETRY_MS)
      return fail(exchange, PAGES.unreachable);
    void clock.sleep(BACKOFF_MS).then(() => {
      if (!socket.destroyed) connect(handshake, headers);
    });
  });
  attempt.end();
}

/** Joins the two sockets until either side ends. */
function splice(handshake: Handshake, answer: IncomingMessage, upstream: Socket, early: Buffer): void {
  const { exchange, served, socket, head } = handshake;
  const { streams } = exchange.gateway;
  if (socket.destroyed) return void upstream.destroy();
  exchange.answered(101);
  exchange.res.detachSocket(socket);
  socket.write(switchingHead(exchange, answer), "latin1");
  if (head.length > 0) upstream.write(head);
  for (const one of [socket, upstream]) {
    one.setTimeout(0);
    one.setNoDelay(true);
  }
  const end = joinWebSocket(socket, upstream, early);
  const stream = { host: exchange.host, release: served.id, named: exchange.named, end };
  streams.add(stream);
  served.tally.streams++;
  upstream.on("error", () => socket.destroySoon());
  upstream.once("close", () => socket.destroySoon());
  socket.once("close", () => {
    upstream.destroy();
    streams.delete(stream);
    served.tally.streams--;
    exchange.bytes = socket.bytesWritten;
    exchange.finish();
  });
}

/** The head of the 101 as the app sent it, with what a 101 needs and what we add. */
function switchingHead(exchange: Exchange, answer: IncomingMessage): string {
  const headers = passedHeaders(answer.rawHeaders);
  headers.push("x-signalbox-deployment", exchange.served?.id ?? "");
  if (exchange.setCookie !== null) headers.push("set-cookie", exchange.setCookie);
  headers.push("connection", "Upgrade", "upgrade", "websocket");
  let head = "HTTP/1.1 101 Switching Protocols\r\n";
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${head}\r\n`;
}

/** The app declined: its answer goes to the client like any other. */
function relay({ exchange, served }: Handshake, answer: IncomingMessage): void {
  const { res } = exchange;
  const status = answer.statusCode ?? 502;
  exchange.answered(status);
  res.writeHead(status, [...passedHeaders(answer.rawHeaders), "x-signalbox-deployment", served.id]);
  answer.on("data", (chunk: Buffer) => {
    exchange.bytes += chunk.length;
  });
  answer.pipe(res);
}
