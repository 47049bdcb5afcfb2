import { WebSocketServer } from "ws";
import { release } from "./release.js";

const HEARTBEAT_MS = 1_000;
// A busy shop sells faster than anyone reads: each product is told at most four times a second, newest stock wins.
const STOCK_MS = 250;
const HELLO = JSON.stringify({ type: "hello", version: release.version, instance: release.instance });

/** Tells everyone who listens, by WebSocket or by server-sent events, what leaves and enters the shelf. */
export function createLive(shelf) {
  const sockets = new WebSocketServer({ noServer: true, clientTracking: true });
  const streams = new Set();
  const send = (message) => {
    const text = JSON.stringify({ ...message, version: release.version });
    for (const socket of sockets.clients) socket.send(text);
    for (const stream of streams) void stream.writeSSE({ event: message.type, data: text });
  };
  const changes = new Map();
  shelf.events.on("change", (change) => changes.set(change.id, change));
  const stock = setInterval(() => {
    for (const change of changes.values()) send({ type: "stock", ...change });
    changes.clear();
  }, STOCK_MS);
  const heartbeat = setInterval(
    () => send({ type: "heartbeat", visitors: streams.size + sockets.clients.size }),
    HEARTBEAT_MS,
  );

  return {
    acceptWebSockets(server) {
      server.on("upgrade", (request, socket, head) => {
        if (new URL(request.url, "http://shop").pathname !== "/api/live") return socket.destroy();
        sockets.handleUpgrade(request, socket, head, greet);
      });
    },
    /** Serves one server-sent event stream until its client leaves or the shop closes. */
    async stream(stream) {
      streams.add(stream);
      await stream.writeSSE({
        event: "hello",
        data: HELLO,
      });
      await new Promise((resolve) => {
        stream.onAbort(resolve);
        stream.finish = resolve;
      });
      streams.delete(stream);
    },
    close() {
      clearInterval(heartbeat);
      clearInterval(stock);
      for (const stream of streams) stream.finish?.();
      for (const socket of sockets.clients) socket.close(1001, "The shop is closing; connect again.");
    },
  };
}

function greet(socket) {
  socket.on("error", () => socket.terminate());
  // What a visitor says comes back: a client can check that the way is open in both directions.
  socket.on("message", (data) =>
    socket.send(JSON.stringify({ type: "echo", text: String(data), version: release.version })),
  );
  socket.send(HELLO);
}
