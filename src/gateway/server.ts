import http, { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { errorCodeOf } from "../foundation/errors.ts";
import { answer } from "./answer.ts";
import { type Gateway, GatewayResponse } from "./exchange.ts";
import { upgrade } from "./upgrade.ts";

export type GatewayServer = http.Server<typeof http.IncomingMessage, typeof GatewayResponse>;

/**
 * The HTTP server of one worker. node's own strict parser refuses what request smuggling needs: `Content-Length`
 * beside `Transfer-Encoding`, two lengths, bare line feeds, folded lines.
 */
export function createGatewayServer(gateway: Gateway): GatewayServer {
  const server = http.createServer<typeof http.IncomingMessage, typeof GatewayResponse>(
    {
      ServerResponse: GatewayResponse,
      maxHeaderSize: 32 * 1_024,
      headersTimeout: 15_000,
      // From the first byte of a request to its last: an upload of 1 GB at 2 MB/s fits.
      requestTimeout: 600_000,
      keepAliveTimeout: 72_000,
      connectionsCheckingInterval: 5_000,
      optimizeEmptyRequests: true,
      // `Upgrade: h2c` and others are offers that a server may ignore; only WebSockets are taken up.
      shouldUpgradeCallback: (req) => req.headers.upgrade?.toLowerCase() === "websocket",
    },
    (req, res) => answer(gateway, req, res),
  );
  server.on("connection", (socket: Socket) => gateway.connections.add(socket));
  server.on("upgrade", (req, socket, head) => upgrade(gateway, req, socket as Socket, head));
  server.on("clientError", (error, socket) => refuse(error, socket as Socket));
  return server;
}

const CLIENT_ERRORS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** What was sent is no request that could be answered through node's response object. */
function refuse(error: Error, socket: Socket): void {
  const code = errorCodeOf(error) ?? "";
  if (!socket.writable || code === "ECONNRESET") return void socket.destroy();
  // An answer is already on its way: a second head in its middle would be taken for its body.
  if (socket.bytesWritten > 0 && code === "ERR_HTTP_REQUEST_TIMEOUT") return void socket.destroySoon();
  const status = CLIENT_ERRORS[code] ?? 400;
  const reason = STATUS_CODES[status] ?? "";
  const body = `${status} ${reason}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\ncontent-type: text/plain\r\n` +
      `content-length: ${body.length}\r\n\r\n${body}`,
  );
}
