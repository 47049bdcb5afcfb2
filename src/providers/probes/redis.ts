import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe } from "../../checks/probe-kind.ts";
import { hostAndPort } from "./connect.ts";
import { type Conversation, converse, Ended, type Observed } from "./conversation.ts";
import { checkEndpoint, type Endpoint, endpointFields, endpointOf, type Scheme } from "./endpoint.ts";

export const REDIS: Scheme = {
  protocols: { "redis:": { tls: false, port: 6379 }, "rediss:": { tls: true, port: 6379 } },
  plain: "redis:",
};

const settings = z
  .strictObject({
    ...endpointFields,
    /** Share of `maxmemory` from which it is degraded, where nothing may be evicted. */
    memoryWarn: z.number().positive().max(1).default(0.9),
    role: z.enum(["master", "replica"]).optional(),
    /** Connected replicas that a master must have. */
    replicas: z.int().min(0).max(1_000).default(0),
  })
  .superRefine(checkEndpoint(REDIS));

type RedisSettings = z.infer<typeof settings>;

/** PING and INFO in RESP2, as Redis, Valkey, KeyDB and Dragonfly answer them. */
export const redis = defineProbe<RedisSettings>({
  type: "redis",
  settings,
  subject: (given) => `redis://${hostAndPort(endpointOf(given, REDIS))}`,
  host: (given) => endpointOf(given, REDIS).host,
  run: (given, context) => {
    const endpoint = endpointOf(given, REDIS);
    return converse(endpoint, context, (conversation) => ask(conversation, endpoint, given));
  },
});

async function ask(conversation: Conversation, endpoint: Endpoint, given: RedisSettings): Promise<Outcome> {
  const { username, password } = endpoint;
  if (password !== null) {
    conversation.write(command("AUTH", ...(username === null ? [] : [username]), password));
    const answer = await reply(conversation, "no answer to AUTH");
    if (answer.error !== null) throw new Ended(refusal(conversation.where, answer.error, "AUTH"));
  }
  // Both at once: one way there and back.
  conversation.write(command("PING") + command("INFO"));
  const pong = await reply(conversation, "no answer to PING");
  if (pong.error !== null) return unwell(conversation, pong.error, given, password !== null);
  if (pong.text !== "PONG")
    throw new Ended({ class: "protocol", message: `${conversation.where} answers PING with no PONG.` });
  const info = await reply(conversation, "PING was answered, and no answer to INFO");
  // A user who may only ping has seen enough.
  if (info.error !== null) return pinged(conversation, given, { infoAllowed: false });
  return judge(conversation.where, fieldsOf(info.text), given);
}

/** An error in answer to PING. What it asks of us is no fault of its own. */
function unwell(
  conversation: Conversation,
  error: string,
  given: RedisSettings,
  hasCredentials: boolean,
): Outcome {
  if (error.startsWith("NOAUTH") && !hasCredentials)
    return pinged(conversation, given, { asksForPassword: true });
  if (error.startsWith("NOPERM")) return pinged(conversation, given, { pingAllowed: false });
  const failure = refusal(conversation.where, error, "PING");
  return { status: /^(MISCONF|MASTERDOWN)/.test(error) ? "degraded" : "down", failure };
}

/** It works. What else was asked of it nobody can say: to call that up would be a promise that is not kept. */
function pinged({ where }: Conversation, { role, replicas }: RedisSettings, observed: Observed): Outcome {
  if (role === undefined && replicas === 0) return { status: "up", observed };
  const message = `${where} does not tell this user its role and replicas, which were asked for.`;
  return { status: "down", failure: { class: "unsupported", message }, observed };
}

/** Source: redis.io/docs/reference/protocol-spec and the errors in server.c, networking.c and acl.c of Redis 7. */
const REFUSALS: readonly (readonly [RegExp, Failure["class"], string])[] = [
  [/^LOADING/, "starting", "is loading its data"],
  [/max number of clients reached/, "overloaded", "has as many clients as it takes (maxclients)"],
  [/^OOM/, "overloaded", "is out of memory (maxmemory)"],
  [/^BUSY/, "overloaded", "is busy with a script"],
  [/^MISCONF/, "status", "cannot save to its disk, and takes no writes"],
  [/^MASTERDOWN/, "status", "has lost its master, and gives no stale data"],
  [/^WRONGPASS|invalid password/, "auth", "does not take this user and password"],
  [/without any password configured/, "auth", "has no password, and one was given"],
  [/^NOAUTH/, "auth", "asks for a password"],
  [/^DENIED/, "auth", "is in protected mode: it has no password, and answers its own machine only"],
];

export function refusal(where: string, error: string, asked: string): Failure {
  const known = REFUSALS.find(([pattern]) => pattern.test(error));
  if (known !== undefined) return { class: known[1], message: `${where} ${known[2]}.` };
  return { class: "status", message: `${where} answers ${asked} with the error ${error.split(" ")[0]}.` };
}

function judge(where: string, info: ReadonlyMap<string, string>, given: RedisSettings): Outcome {
  const number = (name: string) => Number(info.get(name) ?? 0);
  const role = info.get("role") === "slave" ? "replica" : (info.get("role") ?? "unknown");
  const [used, most] = [number("used_memory"), number("maxmemory")];
  const observed: Observed = {
    version: info.get("redis_version") ?? null,
    role,
    usedMemoryBytes: used,
    ...(most > 0 ? { memoryShare: Math.round((used / most) * 1000) / 1000 } : {}),
    clients: number("connected_clients"),
    replicas: number("connected_slaves"),
    rejectedConnections: number("rejected_connections"),
    ...(role === "replica" ? { masterLink: info.get("master_link_status") ?? null } : {}),
  };
  const degraded = (failure: Failure): Outcome => ({ status: "degraded", failure, observed });
  if (number("loading") === 1)
    return {
      status: "down",
      failure: { class: "starting", message: `${where} is loading its data.` },
      observed,
    };
  if (given.role !== undefined && role !== given.role) {
    const message = `${where} is a ${role}, and should be a ${given.role}.`;
    return { status: "down", failure: { class: "assertion", message }, observed };
  }
  if (role === "replica" && info.get("master_link_status") !== "up")
    return degraded({ class: "missing", message: `${where} is a replica that has lost its master.` });
  if (role === "master" && number("connected_slaves") < given.replicas) {
    const counted = `${number("connected_slaves")} replicas of ${given.replicas}`;
    return degraded({ class: "missing", message: `${where} has ${counted}.` });
  }
  // A cache that evicts is full all its life; one that may not evict refuses writes when it is.
  if (most > 0 && info.get("maxmemory_policy") === "noeviction" && used >= most * given.memoryWarn) {
    const share = `${Math.round((used / most) * 100)} % of its ${most} bytes`;
    return degraded({ class: "overloaded", message: `${where} uses ${share} and may not evict any.` });
  }
  return { status: "up", observed };
}

function fieldsOf(info: string): Map<string, string> {
  const pairs = info.split("\r\n").flatMap((line): [string, string][] => {
    const colon = line.indexOf(":");
    return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : [];
  });
  return new Map(pairs);
}

/** As a list of texts that may hold anything. */
export function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

type Reply = { readonly text: string; readonly error: string | null };

/** The kinds that PING, AUTH and INFO are answered with. */
async function reply(conversation: Conversation, awaited: string): Promise<Reply> {
  const line = await conversation.line(awaited);
  const [kind, rest] = [line[0], line.slice(1)];
  if (kind === "+" || kind === ":") return { text: rest, error: null };
  if (kind === "-") return { text: "", error: rest };
  const length = Number(rest);
  if (kind !== "$" || !/^\d+$/.test(rest))
    throw new Ended({
      class: "protocol",
      message: `${conversation.where}: what it answers is not Redis's protocol.`,
    });
  const bytes = await conversation.take(length + 2, awaited);
  return { text: bytes.toString("utf8", 0, length), error: null };
}
