import { setTimeout as sleep } from "node:timers/promises";
import { Client, type Dispatcher } from "undici";
import type { LoadOptions } from "./load-messages.ts";
import type { LoadRecord } from "./load-record.ts";
import { machineMs } from "./machine-clock.ts";

type Received = { status: number; headers: Dispatcher.ResponseData["headers"]; body: string };
type Step = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string;
  /** What is wrong with an answer that came whole; null: nothing. */
  readonly problem: (answer: Received) => string | null;
};

const ANSWER_TIMEOUT_MS = 10_000;

/**
 * A visitor's connection, kept alive. On it one visit after another, each a person with a cookie jar of their own:
 * front page, shelf, product page, order, version. No retries: what fails is written down.
 */
export async function runVisitor(
  options: LoadOptions,
  record: LoadRecord,
  signal: AbortSignal,
  index: number,
) {
  const client = new Client(`http://127.0.0.1:${options.port}`, {
    pipelining: 1,
    headersTimeout: ANSWER_TIMEOUT_MS,
  });
  for (let visit = 0; !signal.aborted; visit++) {
    let cookie: string | null = null;
    for (const step of visitSteps(`visitor ${index}, visit ${visit}`)) {
      if (signal.aborted) break;
      cookie = await take(client, options.host, step, cookie, record);
      await sleep(options.thinkMs);
    }
  }
  await client.close();
}

/** Performs one step and returns the cookie to send from here on. */
async function take(client: Client, host: string, step: Step, cookie: string | null, record: LoadRecord) {
  const sentAt = machineMs();
  try {
    const received = await request(client, host, step, cookie);
    const at = machineMs();
    const problem = step.problem(received);
    if (problem === null) record.answer({ sentAt, at, ...releaseOf(received) });
    else record.failure({ at, what: `${step.method} ${step.path}: ${problem}` });
    return cookieOf(received) ?? cookie;
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    record.failure({ at: machineMs(), what: `${step.method} ${step.path}: no answer (${reason})` });
    return cookie;
  }
}

async function request(client: Client, host: string, step: Step, cookie: string | null): Promise<Received> {
  const answer = await client.request({
    method: step.method,
    path: step.path,
    headers: {
      host,
      ...(cookie === null ? {} : { cookie }),
      ...(step.body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(step.body === undefined ? {} : { body: step.body }),
  });
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
}

function visitSteps(visitor: string): Step[] {
  const note = `${visitor} ${"·".repeat(400)}`;
  return [
    get("/", ({ body }) => (body.trimEnd().endsWith("</html>") ? null : "the page is cut off")),
    get("/api/products", ({ body }) => (JSON.parse(body).products.length > 0 ? null : "the shelf is empty")),
    get("/products/clock", ({ body }) => (body.includes("Platform clock") ? null : "not the clock's page")),
    {
      method: "POST",
      path: "/api/orders",
      body: JSON.stringify({ items: [{ id: "tag", quantity: 1 }], note }),
      problem: ({ status, body }) => {
        if (status !== 201 && status !== 202) return `status ${status}: ${body.slice(0, 200)}`;
        return JSON.parse(body).note === note ? null : "the order came back changed";
      },
    },
    get("/icon.svg", ({ body }) => (body.includes("</svg>") ? null : "the picture is cut off")),
    get("/api/version", ({ body }) => (typeof JSON.parse(body).version === "string" ? null : "no version")),
  ];
}

function get(path: string, problem: Step["problem"]): Step {
  const check: Step["problem"] = (answer) =>
    answer.status === 200 ? problem(answer) : `status ${answer.status}: ${answer.body.slice(0, 200)}`;
  return { method: "GET", path, problem: check };
}

function releaseOf({ headers, body }: Received): { version: string | null; instance: string | null } {
  const stamped = /<meta name="storefront-version" content="([^"]+)"/.exec(body)?.[1];
  return {
    version: text(headers["x-storefront-version"]) ?? stamped ?? null,
    instance: text(headers["x-storefront-instance"]),
  };
}

function cookieOf({ headers }: Received): string | null {
  const lines = [headers["set-cookie"] ?? []].flat();
  return lines.length === 0 ? null : lines.map((line) => line.split(";")[0]).join("; ");
}

const text = (header: string | string[] | undefined): string | null =>
  typeof header === "string" ? header : null;
