import type { Conversation, Observed } from "../conversation.ts";
import { Ended } from "../conversation.ts";
import { refusal } from "./refusal.ts";

/** What a server says of itself to anyone. Source: mongodb.com/docs/manual/reference/command/hello */
export type Hello = {
  readonly isWritablePrimary?: boolean;
  /** Its name before MongoDB 4.4. */
  readonly ismaster?: boolean;
  readonly secondary?: boolean;
  readonly arbiterOnly?: boolean;
  readonly setName?: string;
  readonly primary?: string;
  /** `isdbgrid` of a mongos. */
  readonly msg?: string;
  readonly maxWireVersion?: number;
};

export type Role = "primary" | "secondary" | "arbiter" | "standalone" | "mongos" | "recovering";

export function roleOf(hello: Hello): Role {
  if (hello.msg === "isdbgrid") return "mongos";
  if (hello.arbiterOnly) return "arbiter";
  if (hello.secondary) return "secondary";
  if (!(hello.isWritablePrimary ?? hello.ismaster)) return "recovering";
  return hello.setName === undefined ? "standalone" : "primary";
}

export function observedOf(hello: Hello): Observed {
  return {
    role: roleOf(hello),
    ...(hello.setName === undefined ? {} : { set: hello.setName }),
    ...(hello.primary === undefined ? {} : { primary: hello.primary }),
    wireVersion: hello.maxWireVersion ?? null,
  };
}

/** Source: mongodb.com/docs/manual/reference/mongodb-wire-protocol */
const OP_MSG = 2013;
const HEADER_BYTES = 16;
const LARGEST_HELLO = 65_536;
const CHECKSUM_PRESENT = 1;

/** One question and its answer in OP_MSG, as every MongoDB since 3.6 speaks it. */
export async function askHello(conversation: Conversation): Promise<Hello> {
  const { BSON } = await import("mongodb");
  const asked = BSON.serialize({ hello: 1, $db: "admin", client: CLIENT });
  const head = Buffer.alloc(HEADER_BYTES + 5);
  head.writeInt32LE(head.length + asked.length, 0);
  head.writeInt32LE(1, 4);
  head.writeInt32LE(OP_MSG, 12);
  conversation.write(Buffer.concat([head, asked]));
  const answered = await conversation.take(HEADER_BYTES, "no answer to hello");
  const size = answered.readInt32LE(0) - HEADER_BYTES;
  if (answered.readInt32LE(12) !== OP_MSG || size < 10 || size > LARGEST_HELLO)
    throw new Ended(noMongo(conversation));
  const body = await conversation.take(size, "no whole answer to hello");
  const end = size - (body.readUInt32LE(0) & CHECKSUM_PRESENT ? 4 : 0);
  const answer = decoded(() => BSON.deserialize(body.subarray(5, end)));
  if (answer === null) throw new Ended(noMongo(conversation));
  if (answer.ok !== 1) throw new Ended(refusal(conversation.where, answer));
  return answer;
}

/** For the server's log. */
const CLIENT = {
  application: { name: "signalbox" },
  driver: { name: "signalbox", version: "1" },
  os: { type: process.platform },
};

function decoded<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch {
    return null;
  }
}

function noMongo({ where }: Conversation) {
  return { class: "protocol", message: `${where}: what it answers is not MongoDB's protocol.` } as const;
}
