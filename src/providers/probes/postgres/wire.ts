import type { Failure } from "../../../checks/model.ts";
import type { TlsSettings } from "../connect.ts";
import { type Conversation, Ended } from "../conversation.ts";

/** Source: postgresql.org/docs/current/protocol-message-formats.html. */
const SSL_REQUEST = 80_877_103;
const CANCEL_REQUEST = 80_877_102;
const PROTOCOL_3 = 196_608;

const AUTHENTICATION: Readonly<Record<number, string>> = {
  0: "none",
  3: "password",
  5: "md5",
  7: "gss",
  9: "sspi",
  10: "scram",
};

/** `prefer`: encrypted where the server offers it, whoever it is; as libpq does by default. */
export type Encryption = TlsSettings | "prefer" | null;

/** Asks for TLS, and goes over to it. True: it is encrypted now. */
export async function encrypt(
  conversation: Conversation,
  host: string,
  wanted: Encryption,
): Promise<boolean> {
  if (wanted === null) return false;
  conversation.write(numbers(8, SSL_REQUEST));
  const answer = (await conversation.take(1, "no answer to SSLRequest")).toString("latin1");
  if (answer === "S") {
    await conversation.secure(wanted === "prefer" ? { insecure: true } : wanted, host);
    return true;
  }
  if (answer === "N" && wanted === "prefer") return false;
  if (answer === "N")
    throw new Ended({ class: "tls", message: `${conversation.where} offers no TLS (its ssl is off).` });
  if (answer === "E") {
    const { code, text } = await errorBody(conversation);
    throw new Ended(refusal(conversation.where, code, text));
  }
  throw noPostgres(conversation.where);
}

/** How it asks who we are, or why it does not take us. */
export type Welcome = { readonly authentication: string } | { readonly code: string; readonly text: string };

/** The start of a session, without an answer to what it asks for then. */
export async function knock(conversation: Conversation, user: string, database: string): Promise<Welcome> {
  const fields = ["user", user, "database", database, "application_name", "signalbox-probe"];
  const body = Buffer.from(`${fields.join("\0")}\0\0`);
  conversation.write(Buffer.concat([numbers(body.length + 8, PROTOCOL_3), body]));
  for (;;) {
    const kind = (await conversation.take(1, "no answer to StartupMessage")).toString("latin1");
    if (kind === "E") return errorBody(conversation);
    // A notice, or the versions that it speaks: what we wait for follows.
    if (kind !== "R" && kind !== "N" && kind !== "v") throw noPostgres(conversation.where);
    const bytes = await messageBody(conversation);
    if (kind !== "R") continue;
    if (bytes.length < 4) throw noPostgres(conversation.where);
    return { authentication: AUTHENTICATION[bytes.readInt32BE(0)] ?? "other" };
  }
}

/** A goodbye; without it some servers note a lost client. */
export const TERMINATE: Buffer = Buffer.from([0x58, 0, 0, 0, 4]);

/** To be sent on a connection of its own. */
export function cancelRequest(processId: number, secretKey: number): Buffer {
  return numbers(16, CANCEL_REQUEST, processId, secretKey);
}

/** Source: postgresql.org/docs/current/errcodes-appendix.html; the texts are of PgBouncer, with one code for all. */
export function refusal(where: string, code: string, text: string): Failure {
  const failure = (name: Failure["class"], what: string): Failure => ({
    class: name,
    message: `${where} ${what} (${code}).`,
  });
  if (code === "57P03") return failure("starting", "is starting, stopping or recovering, and takes nobody");
  if (code === "57P01" || code === "57P02")
    return failure("starting", "ended the connection: it is being stopped");
  if (code === "53300" || /no more connections allowed|query_wait_timeout/.test(text))
    return failure("overloaded", "has as many connections as it takes");
  if (code.startsWith("53")) return failure("overloaded", "is out of memory, disk or another resource");
  if (code.startsWith("28") || /^(password )?authentication failed/i.test(text))
    return failure("auth", "does not take this user and password, or not from here");
  if (code === "57014") return failure("timeout", "gave the query up at its time limit");
  if (code === "3D000") return failure("status", "has no such database");
  if (code === "25006") return failure("unsupported", "was asked to write, and a check may only read");
  return failure("status", "answers with an error");
}

function noPostgres(where: string): Ended {
  return new Ended({ class: "protocol", message: `${where}: what it answers is not Postgres's protocol.` });
}

async function errorBody(conversation: Conversation): Promise<{ code: string; text: string }> {
  const body = (await messageBody(conversation)).toString("utf8");
  const fields = new Map(body.split("\0").map((field) => [field[0], field.slice(1)]));
  return { code: fields.get("C") ?? "", text: fields.get("M") ?? "" };
}

async function messageBody(conversation: Conversation): Promise<Buffer> {
  const length = (await conversation.take(4, "a message without its length")).readInt32BE(0) - 4;
  if (length < 0 || length > 65_536) throw noPostgres(conversation.where);
  return conversation.take(length, "half a message");
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeInt32BE(value | 0, at * 4);
  return bytes;
}
