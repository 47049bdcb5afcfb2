import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { headersParser } from "../../foundation/http1/answer-headers.ts";
import { type Exchanged, exchange } from "../../foundation/http1/exchange.ts";
import { connect, hostAndPort, isConnected } from "./connect.ts";
import { connectionFailure, timedOut } from "./connection-failure.ts";
import { checkEndpoint, type Endpoint, endpointFields, endpointOf, type Scheme } from "./endpoint.ts";
import { headOf } from "./http/hop.ts";
import { judgeQueue, limitFields, type QueueFacts } from "./queue-limits.ts";

const MANAGEMENT: Scheme = {
  protocols: { "http:": { tls: false, port: 15_672 }, "https:": { tls: true, port: 443 } },
  plain: "http:",
};

// RabbitMQ does not know whether a message that was taken was dealt with well.
const { maxDepth, maxOldestMs, minWorkers } = limitFields;

const settings = z
  .strictObject({
    ...endpointFields,
    queue: z.string().min(1).max(255),
    vhost: z.string().min(1).max(255).default("/"),
    maxDepth,
    maxOldestMs,
    minWorkers,
  })
  .superRefine(checkEndpoint(MANAGEMENT));

type RabbitmqQueueSettings = z.infer<typeof settings>;

/** A queue of RabbitMQ and its consumers, by the management API. */
export const rabbitmqQueue = defineProbe<RabbitmqQueueSettings>({
  type: "rabbitmq-queue",
  settings,
  subject: (given) => `rabbitmq-queue://${hostAndPort(endpointOf(given, MANAGEMENT))}/${given.queue}`,
  host: (given) => endpointOf(given, MANAGEMENT).host,
  run: async (given, context) => {
    const endpoint = endpointOf(given, MANAGEMENT);
    const startedMs = context.clock.monotonicMs();
    const connected = await connect({ ...endpoint, isHttp: true }, context);
    if (!isConnected(connected)) return connected;
    const { signal, clock } = context;
    const asked = { method: "GET", head: headFor(endpoint, given), body: null, maxBytes: MAX_BYTES };
    const got = await exchange(
      connected.socket,
      { ...asked, keepBody: true },
      { signal, clock, parseHeaders },
    );
    const { firstByteMs, transferMs } = got;
    const phases = {
      ...connected.phases,
      ...(firstByteMs === null || transferMs === null ? {} : { firstByteMs, transferMs }),
    };
    const where = hostAndPort(endpoint);
    const failure = refused(got, where, { given, context, startedMs });
    return { ...(failure ?? read(got, where, given, context)), phases };
  },
});

const MAX_BYTES = 1_048_576;
const parseHeaders = headersParser([]);

function headFor({ host, port, tls, username, password, path }: Endpoint, given: RabbitmqQueueSettings) {
  const base = path.replace(/\/$/, "");
  const queue = `/api/queues/${encodeURIComponent(given.vhost)}/${encodeURIComponent(given.queue)}`;
  const origin = `${tls === null ? "http" : "https"}://${hostAndPort({ host, port })}`;
  const url = new URL(`${origin}${base === "" ? "" : `/${base}`}${queue}`);
  const login = Buffer.from(`${username ?? "guest"}:${password ?? "guest"}`).toString("base64");
  return headOf({ url, method: "GET", headers: { authorization: `Basic ${login}` }, body: null });
}

type Asking = { given: RabbitmqQueueSettings; context: ProbeContext; startedMs: number };

function refused(got: Exchanged, where: string, { given, context, startedMs }: Asking): Outcome | null {
  const elapsedMs = context.clock.monotonicMs() - startedMs;
  const down = (failure: Failure): Outcome => ({ status: "down", failure });
  const says = (kind: Failure["class"], what: string) => down({ class: kind, message: `${where} ${what}.` });
  if (got.end === "aborted") return down(timedOut(where, elapsedMs, "connected, and no whole answer"));
  if (got.end === "malformed") return says("protocol", "answers with something that is no HTTP/1.1");
  if (got.end === "too_large") return says("too_large", `answers with more than ${MAX_BYTES} bytes`);
  if (got.end === "broken" && got.firstByteMs === null)
    return down(connectionFailure(got.error, where, "open"));
  if (got.end !== "whole" || got.head === null)
    return says("reset", "closed the connection before its answer was whole");
  const { status } = got.head;
  if (status === 401 || status === 403)
    return says("auth", `does not let this user read the queue (status ${status})`);
  if (status === 404)
    return says("missing", `has no queue ${given.queue} in the virtual host ${given.vhost}`);
  if (status === 429 || status === 503) return says("overloaded", `turns us away (status ${status})`);
  return status === 200 ? null : says("status", `answers with the status ${status}`);
}

const rate = z.object({ rate: z.number() }).optional();

/** What is read of the answer. Until the statistics have been gathered, numbers are absent. */
const answer = z.object({
  name: z.string(),
  state: z.string().optional(),
  messages_ready: z.number().optional(),
  messages_unacknowledged: z.number().optional(),
  consumers: z.number().optional(),
  head_message_timestamp: z.number().nullish(),
  message_stats: z.object({ ack_details: rate, deliver_no_ack_details: rate }).optional(),
});

function read(
  { body }: Exchanged,
  where: string,
  given: RabbitmqQueueSettings,
  context: ProbeContext,
): Outcome {
  const parsed = answer.safeParse(jsonOf(body));
  const down = (kind: Failure["class"], what: string): Outcome => ({
    status: "down",
    failure: { class: kind, message: `${where} ${what}.` },
  });
  if (!parsed.success) return down("protocol", "answers with something that is no queue of RabbitMQ");
  const { state, messages_ready: ready, consumers, ...queue } = parsed.data;
  if (state === "down" || state === "stopped" || state === "crashed")
    return down("missing", `says that the queue ${given.queue} is ${state}: its node is gone`);
  if (ready === undefined || consumers === undefined)
    return down("starting", `has no numbers of the queue ${given.queue} yet`);
  const head = queue.head_message_timestamp;
  const stats = queue.message_stats;
  const taken = (stats?.ack_details?.rate ?? 0) + (stats?.deliver_no_ack_details?.rate ?? 0);
  const facts: QueueFacts = {
    depth: ready,
    // The publishers' own word, in seconds; most set none, and an empty queue has none.
    oldestMs:
      ready > 0 && typeof head === "number"
        ? Math.max(0, context.clock.now().getTime() - head * 1_000)
        : null,
    workers: consumers,
    throughputPerMin: Math.round(taken * 60 * 100) / 100,
    stalled: null,
    failedShare: null,
  };
  const outcome = judgeQueue(`The queue ${given.queue} at ${where}`, facts, given);
  const unacknowledged = queue.messages_unacknowledged ?? null;
  return { ...outcome, observed: { ...outcome.observed, unacknowledged } };
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return null;
  }
}
