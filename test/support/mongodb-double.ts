import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import type { Socket } from "node:net";
import { BSON, type Document } from "mongodb";
import { rawServer } from "./probing.ts";

/**
 * MongoDB's wire protocol as far as the official driver needs it to connect, log in and ping; there is no mongod in any
 * registry that the tests may use. What it answers is written after the manual, and it logs in by SCRAM-SHA-256.
 */
export type MongodbDouble = {
  /** Merged into the answer to hello. */
  hello?: Document;
  users?: Readonly<Record<string, string>>;
  serverStatus?: Document;
  /** Members of replSetGetStatus and more. */
  set?: Document;
  /** Answers nothing but hello outside of a log-in. */
  silent?: boolean;
};

const [OP_REPLY, OP_QUERY, OP_MSG] = [1, 2004, 2013];

export async function startMongodbDouble(told: MongodbDouble = {}) {
  const commands: string[] = [];
  const server = await rawServer((socket) => {
    const session: Session = { user: null, scram: null };
    let buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 4 && buffer.length >= buffer.readInt32LE(0)) {
        const message = buffer.subarray(0, buffer.readInt32LE(0));
        buffer = buffer.subarray(message.length);
        answer(socket, message, (command) => {
          commands.push(Object.keys(command)[0] ?? "");
          return reply(told, session, command);
        });
      }
    });
  });
  return { ...server, commands };
}

type Session = { user: string | null; scram: Scram | null };

function answer(socket: Socket, message: Buffer, perform: (command: Document) => Document | null): void {
  const code = message.readInt32LE(12);
  const isQuery = code === OP_QUERY;
  // Flags, the collection's name and an end, two numbers; or flags and the kind of the first section.
  const at = isQuery ? message.indexOf(0, 20) + 9 : 21;
  const document = message.subarray(at, at + message.readInt32LE(at));
  const answered = perform(BSON.deserialize(document));
  if (answered === null) return;
  const head = Buffer.alloc(16);
  const before = Buffer.alloc(isQuery ? 20 : 5);
  // Number of documents.
  if (isQuery) before.writeInt32LE(1, 16);
  const body = Buffer.concat([before, BSON.serialize(answered)]);
  head.writeInt32LE(16 + body.length, 0);
  head.writeInt32LE(message.readInt32LE(4), 8);
  head.writeInt32LE(isQuery ? OP_REPLY : OP_MSG, 12);
  socket.write(Buffer.concat([head, body]));
}

function reply(told: MongodbDouble, session: Session, command: Document): Document | null {
  const name = Object.keys(command)[0] ?? "";
  if (/^(hello|ismaster)$/i.test(name)) {
    if (told.silent && command.client?.driver?.name === "nodejs") return null;
    const mechanisms = command.saslSupportedMechs ? { saslSupportedMechs: ["SCRAM-SHA-256"] } : {};
    return { ...HELLO, ...mechanisms, ...told.hello, ok: 1 };
  }
  if (name === "ping" || name === "endSessions") return { ok: 1 };
  if (name === "saslStart") return saslStart(told, session, command);
  if (name === "saslContinue") return saslContinue(session, command);
  const found = name === "serverStatus" ? told.serverStatus : name === "replSetGetStatus" ? told.set : null;
  if (found === null) return refused(59, "CommandNotFound");
  if (session.user === null || found === undefined) return refused(13, "Unauthorized");
  return { ...found, ok: 1 };
}

const HELLO = {
  isWritablePrimary: true,
  helloOk: true,
  maxBsonObjectSize: 16_777_216,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  logicalSessionTimeoutMinutes: 30,
  minWireVersion: 0,
  maxWireVersion: 25,
  readOnly: false,
};

function refused(code: number, codeName: string): Document {
  return { ok: 0, errmsg: codeName, code, codeName };
}

type Scram = { readonly user: string; readonly password: string | null; bare: string; first: string };

const ITERATIONS = 4_096;

function saslStart(told: MongodbDouble, session: Session, command: Document): Document {
  const bare = String(command.payload.toString("utf8")).replace(/^n,,/, "");
  const [user = "", nonce = ""] = bare.split(",").map((part) => part.slice(2));
  const salt = createHash("sha256").update(user).digest("base64");
  const first = `r=${nonce}${randomBytes(12).toString("base64")},s=${salt},i=${ITERATIONS}`;
  session.scram = { user, password: told.users?.[user] ?? null, bare, first };
  return { conversationId: 1, done: false, payload: new BSON.Binary(Buffer.from(first)), ok: 1 };
}

/** Source: RFC 5802, 3. */
function saslContinue(session: Session, command: Document): Document {
  const { scram } = session;
  const said = String(command.payload.toString("utf8"));
  const [withoutProof = "", proof = ""] = said.split(",p=");
  if (scram?.password == null) return refused(18, "AuthenticationFailed");
  const salt = Buffer.from(/s=([^,]+)/.exec(scram.first)?.[1] ?? "", "base64");
  const salted = pbkdf2Sync(scram.password, salt, ITERATIONS, 32, "sha256");
  const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest();
  const message = `${scram.bare},${scram.first},${withoutProof}`;
  const clientKey = hmac(salted, "Client Key");
  const signature = hmac(createHash("sha256").update(clientKey).digest(), message);
  const expected = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
  const given = Buffer.from(proof, "base64");
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    return refused(18, "AuthenticationFailed");
  session.user = scram.user;
  const verifier = `v=${hmac(hmac(salted, "Server Key"), message).toString("base64")}`;
  return { conversationId: 1, done: true, payload: new BSON.Binary(Buffer.from(verifier)), ok: 1 };
}
