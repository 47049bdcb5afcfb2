import type { Failure } from "../../../checks/model.ts";
import type { TlsSettings } from "../connect.ts";
import { type Conversation, Ended } from "../conversation.ts";

/** Source: dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html. */
const CAPABILITY = {
  longPassword: 0x1,
  protocol41: 0x200,
  tls: 0x800,
  transactions: 0x2000,
  secureConnection: 0x8000,
  pluginAuth: 0x80000,
  multiFactorUpper: 0x1000,
};
const OWN =
  CAPABILITY.longPassword |
  CAPABILITY.protocol41 |
  CAPABILITY.transactions |
  CAPABILITY.secureConnection |
  CAPABILITY.pluginAuth;
const UTF8 = 33;

/** Encrypted where the server offers it, whoever it is; as the official clients do by default. */
export type Encryption = TlsSettings | "prefer" | null;

export type Greeting = {
  readonly version: string;
  /** To be read once more by a driver, and without what it would take up by itself. */
  readonly packet: Buffer;
  readonly offersTls: boolean;
};

export type Refused = { readonly code: number; readonly text: string };

/** What the server says first, or why it does not take us. */
export async function greeting(conversation: Conversation): Promise<Greeting | Refused> {
  const { head, body } = await packet(conversation, "no greeting");
  if (body[0] === 0xff) return errorOf(body);
  const end = body.indexOf(0, 1);
  // Version 10 of the protocol is the only one since 1998.
  if (body[0] !== 10 || end < 0 || body.length < end + 16) throw noMysql(conversation.where);
  // The thread's id, eight bytes of salt and a zero come before the lower half of what it can.
  const capabilities = body.readUInt16LE(end + 14);
  return {
    version: body.toString("utf8", 1, end),
    packet: Buffer.concat([head, withoutExtras(body, end)]),
    offersTls: (capabilities & CAPABILITY.tls) !== 0,
  };
}

type Encrypting = {
  readonly offersTls: boolean;
  readonly wanted: Encryption;
  /** Of who speaks afterwards: some servers go by those that came first. */
  readonly capabilities?: number;
};

/** Without MariaDB's own abilities and a second factor: what the request for TLS asked for is what counts. */
function withoutExtras(body: Buffer, end: number): Buffer {
  const plain = Buffer.from(body);
  if (plain.length < end + 32) return plain;
  plain.writeUInt16LE(plain.readUInt16LE(end + 19) & ~CAPABILITY.multiFactorUpper, end + 19);
  return plain.fill(0, end + 28, end + 32);
}

/** Goes over to TLS within the protocol. True: it is encrypted now. */
export async function encrypt(
  conversation: Conversation,
  host: string,
  { offersTls, wanted, capabilities = OWN }: Encrypting,
): Promise<boolean> {
  if (wanted === null || (wanted === "prefer" && !offersTls)) return false;
  if (!offersTls) throw new Ended({ class: "tls", message: `${conversation.where} offers no TLS.` });
  conversation.write(framed(1, opening(capabilities | CAPABILITY.tls)));
  await conversation.secure(wanted === "prefer" ? { insecure: true } : wanted, host);
  return true;
}

/**
 * Ends what the greeting began, as nobody in particular: a server counts the connections that break off before that,
 * and blocks the host after a hundred of them. Null: it let us in.
 */
export async function introduce(conversation: Conversation, encrypted: boolean): Promise<Refused | null> {
  const nobody = Buffer.from("signalbox-probe\0\0mysql_native_password\0");
  let sequence = encrypted ? 2 : 1;
  conversation.write(
    framed(sequence, Buffer.concat([opening(encrypted ? OWN | CAPABILITY.tls : OWN), nobody])),
  );
  // It may ask to do it in another way, which gets an empty answer.
  for (let turn = 0; turn < 4; turn++) {
    const { head, body } = await packet(conversation, "no answer to our introduction");
    if (body[0] === 0xff) return errorOf(body);
    if (body[0] === 0) {
      conversation.write(framed(0, Buffer.from([1])));
      return null;
    }
    sequence = ((head[3] ?? 0) + 1) % 256;
    conversation.write(framed(sequence, Buffer.alloc(0)));
  }
  throw noMysql(conversation.where);
}

/** Errors that say who may come in, not that it is unwell. */
export const NOT_FOR_US: ReadonlySet<number> = new Set([
  1044, 1045, 1049, 1130, 1227, 1251, 1698, 3118, 3159, 4151,
]);

type Known = readonly [Failure["class"], string];
/** Of dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html, mariadb.com/kb/en/mariadb-error-codes. */
const REFUSALS: Readonly<Record<number, Known>> = {
  1021: ["overloaded", "has a full disk"],
  1037: ["overloaded", "is out of memory"],
  1038: ["overloaded", "is out of memory for sorting"],
  1040: ["overloaded", "has too many connections: as many as it takes (max_connections)"],
  1041: ["overloaded", "is out of memory"],
  1044: ["auth", "does not let this user into the database"],
  1045: ["auth", "does not take this user and password"],
  1049: ["status", "has no such database"],
  1053: ["starting", "is being stopped"],
  1129: ["auth", "blocked this host after too many broken connections: only FLUSH HOSTS lets it in again"],
  1130: ["auth", "takes no connections from this address"],
  1203: ["overloaded", "has as many connections of this user as it takes (max_user_connections)"],
  1226: ["overloaded", "let this user do as much as it may (a resource limit)"],
  1251: ["auth", "asks for a way to log in that is not known here"],
  1698: ["auth", "does not take this user by a password"],
  1792: ["unsupported", "was asked to write, and a check may only read"],
  1862: ["auth", "asks for a new password: this one has expired"],
  1969: ["timeout", "gave the query up at its time limit"],
  3024: ["timeout", "gave the query up at its time limit"],
  3118: ["auth", "has locked this account"],
  3159: ["tls", "takes connections through TLS only"],
  4151: ["auth", "has locked this account"],
};

export function refusal(where: string, code: number): Failure {
  const [name, what] = REFUSALS[code] ?? (["status", "answers with an error"] as const);
  return { class: name, message: `${where} ${what} (${code}).` };
}

function noMysql(where: string): Ended {
  return new Ended({ class: "protocol", message: `${where}: what it answers is not MySQL's protocol.` });
}

async function packet(conversation: Conversation, awaited: string) {
  const head = await conversation.take(4, awaited);
  const length = head.readUIntLE(0, 3);
  if (length === 0 || length > 65_536) throw noMysql(conversation.where);
  return { head, body: await conversation.take(length, awaited) };
}

function errorOf(body: Buffer): Refused {
  return { code: body.length < 3 ? 0 : body.readUInt16LE(1), text: body.toString("utf8", 3) };
}

/** What both the request for TLS and the introduction begin with. */
function opening(capabilities: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(capabilities >>> 0, 0);
  bytes.writeUInt32LE(0xffffff, 4);
  bytes[8] = UTF8;
  return bytes;
}

function framed(sequence: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head[3] = sequence;
  return Buffer.concat([head, body]);
}
