import type { IncomingMessage, ServerResponse } from "node:http";

/** An answer that is ready to be written: no request makes it. */
export type Answer = {
  readonly status: number;
  /** Names and values in turn, as `writeHead` takes them. */
  readonly headers: readonly string[];
  readonly body: Buffer;
};

export function jsonAnswer(status: number, body: unknown, type = "application/json"): Answer {
  const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  const headers = [
    ...["content-type", type, "content-length", String(bytes.length)],
    // A verdict is of now; who keeps one shows a state that is over.
    ...["cache-control", "no-store", "vary", "accept, authorization"],
  ];
  return { status, headers, body: bytes };
}

/** Answers GET and HEAD; anything else is told so. */
export function sendAnswer(answer: Answer, request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD", "content-length": 0 }).end();
    return;
  }
  response.writeHead(answer.status, answer.headers as string[]);
  if (request.method === "HEAD") response.end();
  else response.end(answer.body);
}

export function webAnswer(answer: Answer, request: Request): Response {
  if (request.method !== "GET" && request.method !== "HEAD")
    return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
  const pairs = answer.headers.flatMap((name, at) =>
    at % 2 === 0 ? [[name, answer.headers[at + 1] ?? ""] as [string, string]] : [],
  );
  const body = request.method === "HEAD" ? null : new Uint8Array(answer.body);
  return new Response(body, { status: answer.status, headers: pairs });
}
