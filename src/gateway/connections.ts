import type { Socket } from "node:net";

/** What is known of one client connection. */
export type Connection = {
  /** Requests under way: 0 or 1, more when the client pipelines. */
  busy: number;
  /** When its last answer ended, or when it came. */
  idleSinceMs: number;
  /** `X-Forwarded-For`. */
  readonly address: string;
  /** The `Forwarded` header of the last host asked for on this connection, which is nearly always the next one too. */
  forwardedHost: string;
  forwarded: string;
};

/** Every open client connection, upgraded ones included. */
export type Connections = {
  add(socket: Socket): void;
  of(socket: Socket): Connection;
  /** Closes the connections without a request that have been so for `idleMs`. */
  closeIdle(idleMs: number): void;
  closeAll(): void;
  readonly size: number;
};

export function createConnections(clock: { monotonicMs(): number }): Connections {
  const open = new Map<Socket, Connection>();
  return {
    add(socket) {
      const connection: Connection = {
        busy: 0,
        idleSinceMs: clock.monotonicMs(),
        address: socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "") ?? "unknown",
        forwardedHost: "",
        forwarded: "",
      };
      open.set(socket, connection);
      socket.once("close", () => open.delete(socket));
    },
    of(socket) {
      const connection = open.get(socket);
      if (connection !== undefined) return connection;
      // The socket was closed before its last request was looked at.
      return { busy: 0, idleSinceMs: 0, address: "unknown", forwardedHost: "", forwarded: "" };
    },
    closeIdle(idleMs) {
      const now = clock.monotonicMs();
      for (const [socket, connection] of open) {
        if (connection.busy === 0 && now - connection.idleSinceMs >= idleMs) socket.destroySoon();
      }
    },
    closeAll() {
      for (const socket of open.keys()) socket.destroy();
    },
    get size() {
      return open.size;
    },
  };
}

/** RFC 7239: `for=203.0.113.9;host="shop.example:8080";proto=http`. */
export function forwardedFor(connection: Connection, host: string): string {
  if (connection.forwardedHost !== host) {
    const node = connection.address.includes(":") ? `"[${connection.address}]"` : connection.address;
    connection.forwarded = `for=${node};host="${host}";proto=http`;
    connection.forwardedHost = host;
  }
  return connection.forwarded;
}
