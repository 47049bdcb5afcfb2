import type { Conversation } from "../conversation.ts";
import { Ended } from "../conversation.ts";
import { command } from "../redis.ts";

/** Any answer of RESP2. Source: redis.io/docs/latest/develop/reference/protocol-spec. */
export type Reply = string | number | null | Refused | readonly Reply[];

/** One command was refused; others of the same batch were not. */
export class Refused {
  readonly error: string;

  constructor(error: string) {
    this.error = error;
  }
}

/** Sends all at once and reads the answers, in order: one way there and back. */
export async function askAll(
  conversation: Conversation,
  commands: readonly (readonly string[])[],
  awaited: string,
): Promise<Reply[]> {
  conversation.write(commands.map((words) => command(...words)).join(""));
  const replies: Reply[] = [];
  for (const _ of commands) replies.push(await read(conversation, awaited));
  return replies;
}

/** Lists within lists; those of streams are three deep. */
const DEEPEST = 8;

async function read(conversation: Conversation, awaited: string, depth = 0): Promise<Reply> {
  if (depth > DEEPEST) throw notRedis(conversation);
  const line = await conversation.line(awaited);
  const rest = line.slice(1);
  switch (line[0]) {
    case "+":
      return rest;
    case "-":
      return new Refused(rest);
    case ":":
      return Number(rest);
    case "$": {
      const length = lengthOf(conversation, rest);
      if (length < 0) return null;
      return (await conversation.take(length + 2, awaited)).toString("utf8", 0, length);
    }
    case "*": {
      const length = lengthOf(conversation, rest);
      if (length < 0) return null;
      const items: Reply[] = [];
      while (items.length < length) items.push(await read(conversation, awaited, depth + 1));
      return items;
    }
    default:
      throw notRedis(conversation);
  }
}

function lengthOf(conversation: Conversation, text: string): number {
  if (!/^(-1|\d{1,10})$/.test(text)) throw notRedis(conversation);
  return Number(text);
}

function notRedis({ where }: Conversation): Ended {
  return new Ended({ class: "protocol", message: `${where}: what it answers is not Redis's protocol.` });
}

export function isList(reply: Reply | undefined): reply is readonly Reply[] {
  return Array.isArray(reply);
}

export function texts(reply: Reply | undefined): string[] {
  return isList(reply) ? reply.filter((each) => typeof each === "string") : [];
}
