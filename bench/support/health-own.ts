/** An app with `signalbox/health`: `PORT_OF_DEPENDENCIES`. Says its port on its IPC channel. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createHealth } from "../../src/health/index.ts";
import { askDependency, DEPENDENCIES, TIMEOUT_MS } from "./dependency-checks.ts";

const port = Number(process.argv[2]);
const health = createHealth({
  path: "/health",
  checks: Object.fromEntries(
    DEPENDENCIES.map((name) => [
      name,
      {
        check: (signal: AbortSignal) => askDependency(port, name, signal),
        intervalMs: 1_000,
        timeoutMs: TIMEOUT_MS,
      },
    ]),
  ),
});
await health.checked();
const server = http.createServer((request, response) => {
  if (!health.handle(request, response)) response.writeHead(404).end();
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
