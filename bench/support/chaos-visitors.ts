import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "undici";
import { messageOf } from "../../src/foundation/errors.ts";
import type { FailedRequest } from "./chaos-judge.ts";

/** What visitors have seen of one project. */
export type Seen = {
  requests: number;
  readonly failed: FailedRequest[];
  longestMs: number;
  /** By version: when its first answer came, epoch ms. */
  readonly firstAnswer: Map<string, number>;
};

export type Visitors = { readonly seen: Seen; stop(): Promise<void> };

const PAUSE_MS = 25;
const ANSWER_TIMEOUT_MS = 15_000;

/**
 * Keep-alive connections to one project's public host, each asking again and again without a retry. Every answer
 * must be 200 and name a version for which `isKnown`. Each visitor drops its cookies now and then, so that a canary
 * meets new people.
 */
export function startVisitors(
  at: { port: number; project: string; visitors: number },
  isKnown: (version: string) => boolean,
): Visitors {
  const seen: Seen = { requests: 0, failed: [], longestMs: 0, firstAnswer: new Map() };
  const leaving = new AbortController();
  const going = Array.from({ length: at.visitors }, () => visit(at, seen, isKnown, leaving.signal));
  return {
    seen,
    stop: async () => {
      leaving.abort();
      await Promise.all(going);
    },
  };
}

async function visit(
  at: { port: number; project: string },
  seen: Seen,
  isKnown: (version: string) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const options = { pipelining: 1, headersTimeout: ANSWER_TIMEOUT_MS };
  const client = new Client(`http://127.0.0.1:${at.port}`, options);
  let cookie: string | null = null;
  for (let visits = 1; !signal.aborted; visits++) {
    if (visits % 10 === 0) cookie = null;
    const sentAt = Date.now();
    const answer: Answer = await ask(client, at, cookie);
    const now = Date.now();
    seen.requests += 1;
    seen.longestMs = Math.max(seen.longestMs, now - sentAt);
    cookie = answer.cookie ?? cookie;
    if (answer.status === 200 && isKnown(answer.body)) {
      if (!seen.firstAnswer.has(answer.body)) seen.firstAnswer.set(answer.body, now);
    } else {
      const what = `${answer.status} ${answer.body.slice(0, 160)}`;
      seen.failed.push({ project: at.project, sentAt, at: now, status: answer.status, what });
    }
    await sleep(PAUSE_MS);
  }
  await client.close();
}

type Answer = { readonly status: number; readonly body: string; readonly cookie: string | null };

/** One GET of the project's production host; status 0 and the reason where no answer came. */
async function ask(
  client: Client,
  at: { port: number; project: string },
  cookie: string | null,
): Promise<Answer> {
  try {
    const headers = { host: `${at.project}.localhost:${at.port}`, accept: "application/json" };
    const answer = await client.request({
      method: "GET",
      path: "/",
      headers: cookie === null ? headers : { ...headers, cookie },
    });
    const set = [answer.headers["set-cookie"] ?? []].flat()[0]?.split(";")[0] ?? null;
    return { status: answer.statusCode, body: await answer.body.text(), cookie: set };
  } catch (error) {
    return { status: 0, body: messageOf(error), cookie: null };
  }
}

/** What a stranger on a connection of their own gets. */
export async function visitOnce(port: number, project: string): Promise<{ status: number; body: string }> {
  const client = new Client(`http://127.0.0.1:${port}`, { headersTimeout: ANSWER_TIMEOUT_MS });
  try {
    return await ask(client, { port, project }, null);
  } finally {
    await client.destroy();
  }
}
