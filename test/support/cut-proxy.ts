import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy that dies, with all of its connections, at a chosen message from the client. */
export type CutProxy = {
  readonly port: number;
  /**
   * At the `message`-th chunk from here on: `before` it is passed on, or `after` the server has answered it, an answer
   * that the client never gets.
   */
  cutAt(message: number, when: "before" | "after"): void;
  /** From here on every connection is reset, those that are open too, until `heal`. */
  cut(): void;
  /** As packets that vanish: connections stay open, new ones too, and nothing comes through in either direction. */
  silence(): void;
  /** Connections that were silenced are reset: what they lost in between cannot be made up for. */
  heal(): void;
  /** Whether that has happened. */
  wasCut(): boolean;
  close(): Promise<void>;
};

export async function startCutProxy(target: { host: string; port: number }): Promise<CutProxy> {
  let left = Number.POSITIVE_INFINITY;
  let when: "before" | "after" = "before";
  let cut = false;
  const sockets = new Set<Socket>();
  const kill = () => {
    cut = true;
    for (const socket of sockets) socket.destroy();
  };
  let away = false;
  let silent = false;
  const server = createServer((client) => {
    if (away) return void client.on("error", () => {}).resetAndDestroy();
    if (silent) {
      sockets.add(client.on("error", () => {}));
      return void client.on("close", () => sockets.delete(client));
    }
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on("data", (chunk) => {
      if (silent) return;
      left--;
      if (left > 0) return void upstream.write(chunk);
      if (when === "before") return kill();
      upstream.removeAllListeners("data");
      upstream.once("data", kill);
      upstream.once("end", kill);
      upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (!silent) client.write(chunk);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    port: (server.address() as AddressInfo).port,
    cutAt: (message, at) => {
      left = message;
      when = at;
      cut = false;
    },
    cut() {
      away = true;
      kill();
    },
    silence() {
      silent = true;
    },
    heal() {
      if (silent) kill();
      silent = false;
      away = false;
      cut = false;
    },
    wasCut: () => cut,
    close: () => {
      kill();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}
