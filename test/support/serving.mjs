// A server in a process of its own, to be frozen and killed. Tells its port, and of each request that it leaves alone.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  if (request.url === "/hang") process.send("hanging");
  else response.end("ok");
});
server.listen(0, "127.0.0.1", () => process.send(server.address().port));
