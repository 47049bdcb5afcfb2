import { z } from "zod";
import type { Outcome } from "../../checks/model.ts";
import { defineProbe } from "../../checks/probe-kind.ts";
import { lookAtQueue, refusedQueue } from "./bullmq/look-at-queue.ts";
import { askAll, Refused } from "./bullmq/replies.ts";
import { hostAndPort } from "./connect.ts";
import { type Conversation, converse, Ended } from "./conversation.ts";
import { checkEndpoint, type Endpoint, endpointFields, endpointOf } from "./endpoint.ts";
import { judgeQueue, limitFields } from "./queue-limits.ts";
import { REDIS } from "./redis.ts";

const settings = z
  .strictObject({
    ...endpointFields,
    queue: z.string().min(1).max(255),
    /** As the option of BullMQ's own classes. */
    prefix: z.string().min(1).max(255).default("bull"),
    database: z.int().min(0).max(1_000_000).optional(),
    /** How far back throughput and failures are counted. */
    windowMs: z.int().min(1_000).max(86_400_000).default(300_000),
    ...limitFields,
  })
  .superRefine(checkEndpoint(REDIS));

type BullmqSettings = z.infer<typeof settings>;

/** A queue of BullMQ and its workers, by what it keeps in Redis. */
export const bullmq = defineProbe<BullmqSettings>({
  type: "bullmq",
  settings,
  subject: (given) => `bullmq://${hostAndPort(endpointOf(given, REDIS))}/${given.queue}`,
  host: (given) => endpointOf(given, REDIS).host,
  run: (given, context) => {
    const endpoint = endpointOf(given, REDIS);
    return converse(endpoint, context, async (conversation): Promise<Outcome> => {
      await logIn(conversation, endpoint, given.database);
      const { facts, paused } = await lookAtQueue(conversation, { ...given, name: given.queue });
      const outcome = judgeQueue(`The queue ${given.queue} at ${conversation.where}`, facts, given);
      return { ...outcome, observed: { ...outcome.observed, paused } };
    });
  },
});

async function logIn(conversation: Conversation, endpoint: Endpoint, database: number | undefined) {
  const { username, password, path } = endpoint;
  const chosen = database ?? Number(/^\d+$/.test(path) ? path : 0);
  const commands = [
    ...(password === null ? [] : [["AUTH", ...(username === null ? [] : [username]), password]]),
    ...(chosen === 0 ? [] : [["SELECT", String(chosen)]]),
  ];
  const replies = await askAll(conversation, commands, "no answer to the login");
  for (const [index, reply] of replies.entries())
    if (reply instanceof Refused)
      throw new Ended(refusedQueue(conversation.where, reply, commands[index]?.[0] ?? ""));
}
