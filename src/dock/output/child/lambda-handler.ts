import type { IncomingMessage, ServerResponse } from "node:http";
import { requests } from "./context.ts";
import type { Handler } from "./node-function.ts";

/** A handler as AWS Lambda calls it behind API Gateway, with a promise or with the callback. */
export type LambdaHandler = (event: object, context: object, callback: Callback) => unknown;

type Callback = (error: unknown, result?: unknown) => void;
type Result = {
  readonly statusCode?: number;
  readonly headers?: Readonly<Record<string, unknown>> | null;
  readonly multiValueHeaders?: Readonly<Record<string, readonly unknown[]>> | null;
  readonly body?: string | null;
  readonly isBase64Encoded?: boolean;
  /** Vercel's own name for the same. */
  readonly encoding?: string;
};

/**
 * Functions with `awsLambdaHandler`, as Redwood has them. The event is API Gateway's of version 1, and its body is
 * base64 always, as on Vercel.
 */
export function callLambda(handler: LambdaHandler): Handler {
  return async (req, res) => send(await resultOf(handler, await eventOf(req)), res);
}

async function eventOf(req: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = [];
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
  const url = new URL(req.url ?? "/", "http://localhost");
  const names = [...new Set(url.searchParams.keys())];
  return {
    resource: "/{proxy+}",
    path: url.pathname,
    httpMethod: req.method,
    headers: Object.fromEntries(Object.entries(req.headers).map(([name, value]) => [name, String(value)])),
    multiValueHeaders: req.headersDistinct,
    queryStringParameters: Object.fromEntries(url.searchParams),
    multiValueQueryStringParameters: Object.fromEntries(
      names.map((name) => [name, url.searchParams.getAll(name)]),
    ),
    body: Buffer.concat(chunks).toString("base64"),
    isBase64Encoded: true,
  };
}

function resultOf(handler: LambdaHandler, event: object): Promise<Result> {
  const context = {
    callbackWaitsForEmptyEventLoop: false,
    awsRequestId: requests.getStore()?.requestId ?? "",
  };
  return new Promise((resolve, reject) => {
    const callback: Callback = (error, result) => {
      if (error) reject(error);
      else resolve((result ?? {}) as Result);
    };
    const returned = handler(event, context, callback);
    // Who returns nothing calls the callback.
    if (returned !== undefined)
      Promise.resolve(returned).then((result) => result !== undefined && callback(null, result), reject);
  });
}

function send(result: Result, res: ServerResponse): void {
  const { statusCode, headers, multiValueHeaders, body, isBase64Encoded, encoding } = result;
  if (!Number.isInteger(statusCode)) throw new Error("A Lambda handler's result needs a statusCode.");
  for (const [name, value] of Object.entries(headers ?? {})) res.setHeader(name, String(value));
  for (const [name, values] of Object.entries(multiValueHeaders ?? {})) {
    res.setHeader(name, values.map(String));
  }
  res.statusCode = statusCode ?? 500;
  res.end(Buffer.from(body ?? "", isBase64Encoded || encoding === "base64" ? "base64" : "utf8"));
}
