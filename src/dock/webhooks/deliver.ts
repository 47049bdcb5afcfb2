import { createHmac } from "node:crypto";
import { Agent, request } from "undici";
import { messageOf } from "../../foundation/errors.ts";
import { guardedConnector } from "../../foundation/guarded-request.ts";
import type { Dock } from "../dock.ts";

const TIMEOUT_MS = 10_000;
const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 60 * 60_000;
/** What could not be delivered for so long is given up. */
const GIVE_UP_MS = 3 * 24 * 60 * 60_000;
/** Events that wait for one webhook. */
const MOST_WAITING = 10_000;
const RESTLESS_POLL_MS = 50;

export type Delivery = {
  /** Sends what is due, and says when to come again. */
  work(): Promise<Date | null>;
  /** Resolves once nothing is being sent. */
  idle(): Promise<void>;
};

type Head = {
  readonly serial: number;
  readonly webhook_id: string;
  readonly event: string;
  readonly body: string;
  readonly attempts: number;
  readonly created_at: Date;
  readonly next_at: Date;
};

/**
 * Sends what is in the outbox: for each webhook the oldest first, and nothing newer before that one has arrived.
 */
export function createDelivery(
  dock: Pick<Dock, "db" | "clock" | "log" | "secrets" | "hooks">,
  options: {
    /** CIDRs that may be reached beside the public internet. */
    allowNetworks: readonly string[];
    wake: () => void;
    closing: AbortSignal;
  },
): Delivery {
  const active = new Map<string, Promise<void>>();
  const work = async () => {
    const now = dock.clock.now();
    const waiting = (await heads(dock)).filter((head) => !active.has(head.webhook_id));
    for (const head of waiting.filter(({ next_at }) => next_at <= now)) {
      const sending = deliver(dock, head, options)
        .catch((error) => dock.log.error({ err: error }, "a webhook's outbox could not be updated"))
        .finally(() => {
          active.delete(head.webhook_id);
          options.wake();
        });
      active.set(head.webhook_id, sending);
    }
    const later = waiting.filter(({ next_at }) => next_at > now).map(({ next_at }) => next_at.getTime());
    if (dock.hooks.restlessUntilMs() > dock.clock.monotonicMs()) later.push(now.getTime() + RESTLESS_POLL_MS);
    return later.length === 0 ? null : new Date(Math.min(...later));
  };
  return { work, idle: async () => void (await Promise.all(active.values())) };
}

function heads(dock: Pick<Dock, "db">): Promise<Head[]> {
  return dock.db
    .selectFrom("webhook_deliveries")
    .selectAll()
    .distinctOn("webhook_id")
    .orderBy("webhook_id")
    .orderBy("serial")
    .execute();
}

async function deliver(
  dock: Pick<Dock, "db" | "clock" | "log" | "secrets">,
  head: Head,
  options: { allowNetworks: readonly string[]; closing: AbortSignal },
): Promise<void> {
  const hook = await dock.db
    .selectFrom("webhooks")
    .select(["id", "url", "sealed"])
    .where("id", "=", head.webhook_id)
    .executeTakeFirst();
  if (!hook) return;
  const secret = dock.secrets.open(hook.sealed, hook.id);
  const problem = await send(hook.url, head.body, secret, options).catch((error) => messageOf(error));
  if (problem === null) return remove(dock, head);
  if (options.closing.aborted) return;
  const now = dock.clock.now();
  const { webhook_id: webhookId, event } = head;
  if (now.getTime() - head.created_at.getTime() > GIVE_UP_MS) {
    dock.log.warn({ webhookId, event, problem }, "gave up on a webhook that does not take its event");
    return remove(dock, head);
  }
  const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** head.attempts, LONGEST_BACKOFF_MS);
  dock.log.debug({ webhookId, event, problem, backoffMs }, "a webhook did not take its event");
  await forgetOldest(dock, webhookId);
  await dock.db
    .updateTable("webhook_deliveries")
    .set({ attempts: head.attempts + 1, next_at: new Date(now.getTime() + backoffMs) })
    .where("serial", "=", head.serial)
    .execute();
}

/** What waits for one that takes nothing must not fill the disk. */
async function forgetOldest(dock: Pick<Dock, "db" | "log">, webhookId: string): Promise<void> {
  const first = await dock.db
    .selectFrom("webhook_deliveries")
    .select("serial")
    .where("webhook_id", "=", webhookId)
    .orderBy("serial", "desc")
    .offset(MOST_WAITING)
    .limit(1)
    .executeTakeFirst();
  if (!first) return;
  await dock.db
    .deleteFrom("webhook_deliveries")
    .where("webhook_id", "=", webhookId)
    .where("serial", "<=", first.serial)
    .execute();
  dock.log.warn(
    { webhookId, kept: MOST_WAITING },
    "a webhook takes nothing, and its oldest events were dropped",
  );
}

async function remove(dock: Pick<Dock, "db">, { serial }: Head): Promise<void> {
  await dock.db.deleteFrom("webhook_deliveries").where("serial", "=", serial).execute();
}

/** Null when it was taken, else why not. Redirects are not followed: they could lead to where nobody may look. */
async function send(
  url: string,
  body: string,
  secret: string,
  options: { allowNetworks: readonly string[]; closing: AbortSignal },
): Promise<string | null> {
  const signal = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), options.closing]);
  const connect = guardedConnector({ policy: options, signal });
  const agent = new Agent({ pipelining: 0, connect });
  try {
    const { statusCode, body: answer } = await request(url, {
      dispatcher: agent,
      method: "POST",
      headers: {
        "content-type": "application/json; charset=utf-8",
        "user-agent": "signalbox-dock",
        "x-vercel-signature": signatureOf(body, secret),
      },
      body,
      signal,
    });
    // Nobody reads the answer; a long one must not be waited for.
    answer.on("error", () => {}).destroy();
    return statusCode >= 200 && statusCode < 300 ? null : `it answered ${statusCode}`;
  } finally {
    await agent.destroy();
  }
}

/** Source: vercel.com/docs/webhooks, "Securing webhooks". */
export function signatureOf(body: string, secret: string): string {
  return createHmac("sha1", secret).update(body).digest("hex");
}
