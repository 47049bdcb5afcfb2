import { createServer } from "node:http";

const server = createServer((request, response) => {
  if (request.url === "/slow") {
    setTimeout(() => response.end("slow\n"), 1_000);
    return;
  }
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ hello: "from node:http", path: request.url, pid: process.pid }));
});

server.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));

// Requests in flight are answered before the process ends.
process.on("SIGTERM", () => server.close(() => process.exit(0)));
