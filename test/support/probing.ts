import { EventEmitter, once } from "node:events";
import net, { type AddressInfo } from "node:net";
import type { Outcome } from "../../src/checks/model.ts";
import type { NetworkPolicy, ProbeKind } from "../../src/checks/probe-kind.ts";
import { systemClock } from "../../src/foundation/clock.ts";

/** What a test may reach: its own machine. */
export const LOOPBACK: NetworkPolicy = { allowNetworks: ["127.0.0.0/8", "::1/128"] };

export type Probing = { timeoutMs?: number; network?: NetworkPolicy | null; signal?: AbortSignal };

/** One attempt with settings as they are written in a configuration. */
export function probing<S>(kind: ProbeKind<S>, written: unknown, options: Probing = {}): Promise<Outcome> {
  const { timeoutMs = 5_000, network = LOOPBACK, signal = AbortSignal.timeout(timeoutMs) } = options;
  return kind.run(kind.settings.parse(written), { timeoutMs, signal, network, clock: systemClock });
}

/** A server that does with each connection what it is told. */
export async function rawServer(onConnection: (socket: net.Socket) => void) {
  const sockets = new Set<net.Socket>();
  const changes = new EventEmitter();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    changes.emit("change");
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      changes.emit("change");
    });
    onConnection(socket);
    // Whatever else it does: it hears of the other side's end.
    socket.resume();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    /** Resolves once so many connections are open. */
    open: async (count: number) => {
      while (sockets.size !== count) await once(changes, "change");
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** A port at which nobody listens. */
export async function freePort(): Promise<number> {
  await using server = await rawServer(() => {});
  return server.port;
}

/** Connections of this process that are not closed; of those that a probe opened, none may be left. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => /TCPSocketWrap|TLSWrap|TCPConnectWrap/.test(name))
    .length;
}
