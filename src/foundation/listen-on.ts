import type { Server } from "node:net";
import { AppError, errorCodeOf } from "./errors.ts";

/** Listens and says the port (asked for 0: the one that was free). @throws AppError when it is taken or not allowed. */
export function listenOn(
  server: Server,
  options: { host: string; port: number; variable: string },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(explain(error, options)));
    server.listen(options.port, options.host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : options.port);
    });
  });
}

function explain(
  error: Error,
  { host, port, variable }: { host: string; port: number; variable: string },
): Error {
  const code = errorCodeOf(error);
  if (code === "EADDRINUSE") {
    return new AppError("unavailable", `Port ${port} on ${host} is in use by another program.`, {
      hint: `Stop that program, or choose another port with ${variable}.`,
      cause: error,
    });
  }
  if (code === "EACCES" || code === "EADDRNOTAVAIL") {
    return new AppError("unavailable", `Listening on ${host}:${port} is not possible (${code}).`, {
      hint: `Choose another port with ${variable}, or another address with SIGNALBOX_HOST.`,
      cause: error,
    });
  }
  return error;
}
