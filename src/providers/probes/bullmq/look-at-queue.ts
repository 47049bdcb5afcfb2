import type { Failure } from "../../../checks/model.ts";
import { type Conversation, Ended } from "../conversation.ts";
import { perMinute, type QueueFacts, shareOf } from "../queue-limits.ts";
import { refusal } from "../redis.ts";
import { askAll, isList, Refused, type Reply, texts } from "./replies.ts";

export type Queue = { readonly name: string; readonly prefix: string; readonly windowMs: number };
export type Look = { readonly facts: QueueFacts; readonly paused: boolean };

/** More jobs at work are not looked at for their locks. */
const ACTIVE_LOOKED_AT = 500;
/** Of the stream of events, newest first, so many at a time, and so many times. */
const EVENTS_A_PAGE = 250;
const PAGES = 4;
/** What a delayed job's score is its due time times, and a prioritized one's its priority. Source: BullMQ's scripts. */
const DELAY_SCORE = 0x1000;
const PRIORITY_SCORE = 0x1_0000_0000;

/** Reads what BullMQ keeps in Redis; nothing is written. By Redis's clock. */
export async function lookAtQueue(conversation: Conversation, queue: Queue): Promise<Look> {
  const key = (part: string) => `${queue.prefix}:${queue.name}:${part}`;
  const first = await asked(conversation, [
    ["TIME"],
    ["EXISTS", ...["meta", "id", "wait", "paused", "active", "delayed", "completed", "failed"].map(key)],
    ["HGET", key("meta"), "paused"],
    ["LLEN", key("wait")],
    ["LLEN", key("paused")],
    ["ZCARD", key("prioritized")],
    // Jobs come in at the left; those that are to run before all others, at the right: the oldest is at either end.
    ["LRANGE", key("wait"), "0", "0"],
    ["LRANGE", key("wait"), "-1", "-1"],
    ["LRANGE", key("paused"), "-1", "-1"],
    ["ZRANGE", key("prioritized"), "0", "0"],
    ["ZRANGE", key("prioritized"), "-1", "-1", "WITHSCORES"],
    ["ZRANGE", key("delayed"), "0", "0", "WITHSCORES"],
    ["LRANGE", key("active"), "0", String(ACTIVE_LOOKED_AT - 1)],
  ]);
  if (first[1] === 0) throw new Ended(noSuchQueue(conversation.where, queue));
  const nowMs = timeOf(first[0]);
  const active = texts(first[12]);
  const lowest = Math.floor(Number(texts(first[10])[1] ?? 0) / PRIORITY_SCORE) * PRIORITY_SCORE;
  const dueScore = (nowMs + 1) * DELAY_SCORE - 1;
  const second = await asked(conversation, [
    ["ZCOUNT", key("delayed"), "-inf", String(dueScore)],
    // Of the jobs that all others go before: the one that came first waits longest.
    ["ZRANGEBYSCORE", key("prioritized"), String(lowest), "+inf", "LIMIT", "0", "1"],
    ...active.map((id) => ["EXISTS", key(`${id}:lock`)]),
  ]);
  const waiting = [...first.slice(6, 10), second[1]].flatMap(texts);
  const unlocked = active.filter((_, index) => second[index + 2] === 0);
  const third = await asked(conversation, [
    ["LRANGE", key("active"), "0", "-1"],
    ...[...new Set(waiting)].map((id) => ["HMGET", key(id), "timestamp", "opts", "processedOn"]),
  ]);
  // A job that has ended meanwhile has no lock either, and is not active any more.
  const stillActive = new Set(texts(third[0]));
  const dueSince = Number(texts(first[11])[1] ?? Number.POSITIVE_INFINITY) / DELAY_SCORE;
  const since = [...third.slice(1).map(readyAt), ...(dueSince <= nowMs ? [dueSince] : [])];
  const finished = await finishedLately(conversation, key("events"), nowMs, queue.windowMs);
  const facts: QueueFacts = {
    depth: [first[3], first[4], first[5], second[0]].reduce<number>((sum, each) => sum + Number(each), 0),
    oldestMs: since.length === 0 ? null : Math.max(0, Math.round(nowMs - Math.min(...since))),
    // Last, for it may be too long to read.
    workers: await countWorkers(conversation, queue),
    throughputPerMin: finished.perMin,
    stalled: unlocked.filter((id) => stillActive.has(id)).length,
    failedShare: finished.failedShare,
  };
  return { facts, paused: first[2] === "1" };
}

async function asked(conversation: Conversation, commands: string[][]): Promise<Reply[]> {
  const replies = await askAll(conversation, commands, "no answer about the queue");
  const index = replies.findIndex((reply) => reply instanceof Refused);
  if (index < 0) return replies;
  throw new Ended(refusedQueue(conversation.where, replies[index] as Refused, commands[index]?.[0] ?? ""));
}

/** What Redis refuses while a queue is looked at, or before. */
export function refusedQueue(where: string, { error }: Refused, verb: string): Failure {
  if (/^(MOVED|ASK|CROSSSLOT|CLUSTERDOWN)/.test(error)) {
    const message = `${where} is one node of a cluster, and the queue is on another, or on several.`;
    return { class: "unsupported", message };
  }
  if (error.startsWith("NOPERM"))
    return { class: "auth", message: `${where}: this user may not use ${verb} on the queue.` };
  return refusal(where, error, verb);
}

function noSuchQueue(where: string, { prefix, name }: Queue): Failure {
  return { class: "missing", message: `${where} has no queue ${name} with the prefix ${prefix}.` };
}

function timeOf(reply: Reply | undefined): number {
  const [seconds, micros] = texts(reply);
  return Number(seconds) * 1_000 + Number(micros) / 1_000;
}

/** When a job that waits could run for the first time since it last ran. A job that is gone: never. */
function readyAt(reply: Reply): number {
  const [timestamp, options, processedOn] = isList(reply) ? reply : [];
  if (typeof timestamp !== "string") return Number.POSITIVE_INFINITY;
  return Math.max(Number(timestamp) + delayOf(options), Number(processedOn ?? 0));
}

function delayOf(options: Reply | undefined): number {
  try {
    const { delay } = JSON.parse(String(options)) as { delay?: unknown };
    return typeof delay === "number" ? delay : 0;
  } catch {
    return 0;
  }
}

type Finished = { readonly perMin: number | null; readonly failedShare: number | null };

/**
 * By the stream of events, which also tells of jobs that were removed once they were done, as many set it. A busy
 * queue writes more of them than are read: then they are counted by the time that those read cover.
 */
async function finishedLately(
  conversation: Conversation,
  stream: string,
  nowMs: number,
  windowMs: number,
): Promise<Finished> {
  const from = Math.floor(nowMs - windowMs);
  let [completed, failed, entries, oldestMs, to] = [0, 0, 0, nowMs, "+"];
  for (let page = 0; page < PAGES; page++) {
    const ask = ["XREVRANGE", stream, to, String(from), "COUNT", String(EVENTS_A_PAGE)];
    const [reply] = await asked(conversation, [ask]);
    const events = isList(reply) ? reply.filter(isList) : [];
    for (const [id, fields] of events) {
      const [, name] = texts(fields);
      if (name === "completed") completed++;
      if (name === "failed") failed++;
      oldestMs = Number(String(id).split("-")[0]);
      to = before(String(id));
    }
    entries += events.length;
    const isAll = events.length < EVENTS_A_PAGE;
    const coveredMs = isAll ? windowMs : Math.max(1, nowMs - oldestMs);
    if (isAll || page === PAGES - 1) return summed({ completed, failed, entries, coveredMs });
  }
  return { perMin: null, failedShare: null };
}

function summed(seen: { completed: number; failed: number; entries: number; coveredMs: number }): Finished {
  const finished = seen.completed + seen.failed;
  return { perMin: perMinute(finished, seen.coveredMs), failedShare: shareOf(seen.failed, finished) };
}

/** The greatest id below: an exclusive range is not known to servers before 6.2. */
function before(id: string): string {
  const [ms = "0", sequence = "0"] = id.split("-");
  return sequence === "0" ? `${Number(ms) - 1}` : `${ms}-${BigInt(sequence) - 1n}`;
}

/** By the names of connections; null where a service does not let them be listed, or there are too many. */
async function countWorkers(conversation: Conversation, { prefix, name }: Queue): Promise<number | null> {
  const own = `${prefix}:${Buffer.from(name).toString("base64")}`;
  const reply = await askAll(conversation, [["CLIENT", "LIST"]], "no list of clients").catch((error) => {
    if (error instanceof Ended && error.failure.class === "too_large") return [null];
    throw error;
  });
  const [list] = reply;
  if (typeof list !== "string") return null;
  const names = [...list.matchAll(/ name=(\S*)/g)].map(([, each]) => each ?? "");
  return names.filter((each) => each === own || each.startsWith(`${own}:w:`)).length;
}
