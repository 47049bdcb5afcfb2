import http from "node:http";
import type { AddressInfo } from "node:net";

export type Dependency = { readonly port: number; hang(): void; stop(): void };

/** Answers at once, until it is told to hang: from then on it accepts, reads, and says nothing. */
export async function startDependency(): Promise<Dependency> {
  let hangs = false;
  const server = http.createServer((_request, response) => {
    if (!hangs) response.end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hang() {
      hangs = true;
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
