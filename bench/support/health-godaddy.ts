/** An app with `@godaddy/terminus`: `PORT_OF_DEPENDENCIES`. Says its port on its IPC channel. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createTerminus } from "@godaddy/terminus";
import { askDependency, DEPENDENCIES } from "./dependency-checks.ts";

const port = Number(process.argv[2]);
const server = http.createServer((_request, response) => response.writeHead(404).end());
createTerminus(server, {
  healthChecks: {
    "/health": () => Promise.all(DEPENDENCIES.map((name) => askDependency(port, name))),
  },
  logger: () => {},
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
