import type { IncomingMessage, ServerResponse } from "node:http";

type Request = IncomingMessage & { query: unknown; cookies: unknown; body: unknown };
type Response = ServerResponse & { status(code: number): Response; json(value: unknown): Response };

export default function handler(request: Request, response: Response) {
  const { query, cookies, body } = request;
  response.status(200).json({ query, cookies, body: body ?? null });
}
