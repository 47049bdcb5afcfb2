/**
 * A service to be probed, in a process of its own: answers every request on a new connection with the same bytes, and
 * counts them. Its first argument is the port (0: any); it tells `{ port }`, and `{ answered }` whenever it is asked.
 */
import { type AddressInfo, createServer } from "node:net";

const BODY = '{"status":"pass","ok":true}';
const HEAD = `content-type: application/json\r\ncontent-length: ${BODY.length}\r\nconnection: close`;
const ANSWER = `HTTP/1.1 200 OK\r\n${HEAD}\r\n\r\n${BODY}`;

let answered = 0;
const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => {
    answered++;
    socket.end(ANSWER);
  });
});
server.listen({ port: Number(process.argv[2] ?? 0), host: "0.0.0.0", backlog: 4_096 }, () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.on("message", () => process.send?.({ answered }));
process.on("disconnect", () => process.exit(0));
