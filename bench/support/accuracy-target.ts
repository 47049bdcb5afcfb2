/**
 * A process of its own with targets that can be broken: an HTTP server each, and one of TLS. Told over IPC what to be;
 * answers with the moment from which on it is so. Ends with its parent.
 */
import { createServer, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

export type Mode = "well" | "refuse" | "hang" | "slow" | "status 500" | "wrong body" | "expired certificate";
export type Order = { readonly target: number; readonly mode: Mode };
export type Certificates = Readonly<Record<"good" | "expired", { key: string; cert: string }>>;

/** As in virtual time, less than a third of the timeout: beyond it a prober asks again, and sees its end sooner. */
const SLOW_MS = 150;

type Target = { server: Server; mode: Mode; port: number; readonly sockets: Set<Socket> };

const targets: Target[] = [];

async function start(certificates: Certificates | null): Promise<Target> {
  const target: Target = { server: createServer(), mode: "well", port: 0, sockets: new Set() };
  const { server } = certificates ? { server: createSecureServer(certificates.good) } : target;
  server.on("request", (request, response) => {
    request.resume();
    if (target.mode === "hang") return;
    const answer = () => {
      response.writeHead(target.mode === "status 500" ? 500 : 200, { connection: "close" });
      response.end(target.mode === "wrong body" ? '{"status":"fail"}' : '{"status":"pass"}');
    };
    if (target.mode === "slow") setTimeout(answer, SLOW_MS);
    else answer();
  });
  server.on("connection", (socket) => {
    target.sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => target.sockets.delete(socket));
  });
  target.server = server as Server;
  await listen(target);
  return target;
}

async function listen(target: Target): Promise<void> {
  await new Promise<void>((done) => target.server.listen(target.port, "127.0.0.1", done));
  target.port = (target.server.address() as AddressInfo).port;
}

process.on("message", async (message: { certificates: readonly (Certificates | null)[] } | Order) => {
  if ("certificates" in message) {
    for (const each of message.certificates) targets.push(await start(each));
    certificatesOf.push(...message.certificates);
    process.send?.({ ports: targets.map(({ port }) => port) });
    return;
  }
  const target = targets[message.target];
  if (!target) return;
  const was = target.mode;
  target.mode = message.mode;
  if (message.mode === "refuse") {
    target.server.close();
    for (const socket of target.sockets) socket.destroy();
  } else if (was === "refuse") {
    await listen(target);
  }
  const certificates = certificatesOf[message.target];
  if (certificates) {
    const { key, cert } = message.mode === "expired certificate" ? certificates.expired : certificates.good;
    (target.server as unknown as { setSecureContext(of: object): void }).setSecureContext({ key, cert });
  }
  process.send?.({ ...message, at: Date.now() });
});
const certificatesOf: (Certificates | null)[] = [];
process.on("disconnect", () => process.exit());
