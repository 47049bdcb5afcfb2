import type { IncomingMessage, ServerResponse } from "node:http";

export default function handler(
  request: IncomingMessage & { query: { id?: string } },
  response: ServerResponse,
) {
  response.setHeader("content-type", "text/plain");
  response.end(`user ${request.query.id}`);
}
