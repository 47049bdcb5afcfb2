/** The least that Node can do: `BYTES` bytes from memory. Says its port on its IPC channel. */
import http from "node:http";
import type { AddressInfo } from "node:net";

const body = Buffer.alloc(Number(process.argv[2]), "x");
const headers = ["content-type", "application/json", "content-length", String(body.length)];
const server = http.createServer((_request, response) => {
  response.writeHead(200, headers);
  response.end(body);
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
