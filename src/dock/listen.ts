import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { Hono } from "hono";
import { AppError, errorCodeOf } from "../foundation/errors.ts";

export type HttpServer = { readonly port: number; close(): Promise<void> };

/** @throws AppError `conflict` when the port is in use. */
export async function listen(app: Hono, options: { host: string; port: number }): Promise<HttpServer> {
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  // A large file over a slow line takes its time; idle connections are closed by the keep-alive timeout.
  server.requestTimeout = 30 * 60_000;
  server.headersTimeout = 15_000;
  server.keepAliveTimeout = 65_000;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(options.port, options.host, resolve);
  try {
    await promise;
  } catch (error) {
    if (errorCodeOf(error) !== "EADDRINUSE") throw error;
    throw new AppError("conflict", `Port ${options.port} on ${options.host} is in use.`, {
      hint: "Stop what listens there, or set SIGNALBOX_DOCK_PORT to another port.",
      cause: error,
    });
  }
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        // Followers of a log hold their connection for as long as the build takes.
        server.closeAllConnections();
      }),
  };
}
