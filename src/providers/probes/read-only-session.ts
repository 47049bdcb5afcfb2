import type { Socket } from "node:net";
import type { Failure, Outcome } from "../../checks/model.ts";
import type { ProbeContext } from "../../checks/probe-kind.ts";
import { errorCodeOf, messageOf } from "../../foundation/errors.ts";
import type { TlsSettings } from "./connect.ts";
import { driverFailure } from "./connection-failure.ts";
import { type Conversation, converse, Ended } from "./conversation.ts";
import type { Endpoint, Scheme } from "./endpoint.ts";
import { fieldsEnd } from "./postgres/fields-end.ts";

export const POSTGRES: Scheme = {
  protocols: {
    "postgres:": { tls: false, port: 5432 },
    "postgresql:": { tls: false, port: 5432 },
  },
  plain: "postgres:",
};

export type Session = {
  readonly where: string;
  rows(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
};

/** One transaction of PostgreSQL that can only read, on a connection of its own, which is closed afterwards. */
export function inReadOnlySession(
  asked: { endpoint: Endpoint; tls: boolean | TlsSettings | undefined },
  context: ProbeContext,
  talk: (session: Session) => Promise<Outcome>,
): Promise<Outcome> {
  const { endpoint } = asked;
  const { host, port } = endpoint;
  return converse({ host, port, tls: null }, context, async (conversation) => {
    await negotiate(conversation, encryptionOf(asked.tls, endpoint.query.get("sslmode")), host);
    const { default: pg } = await import("pg");
    const user = endpoint.username ?? "postgres";
    const client = new pg.Client({
      host,
      port,
      user,
      database: endpoint.path || user,
      // A function: with a text that is missing or empty the driver would look for one in files of this machine.
      password: async () => endpoint.password ?? "",
      application_name: "signalbox-probe",
      ssl: false,
      stream: () => opened(conversation.handOver(fieldsEnd())),
    });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.query("begin read only");
      // Not at the connection's start: poolers refuse settings there.
      await client.query(`set local statement_timeout = ${Math.max(1, Math.round(context.timeoutMs))}`);
      return await talk({
        where: conversation.where,
        rows: async (text, values = []) => (await client.query(text, [...values])).rows,
      });
    } catch (error) {
      throw context.signal.aborted || error instanceof Ended ? error : told(conversation.where, error);
    } finally {
      // Says good-bye; who waits for the answer has the end of the conversation.
      void client.end().catch(() => {});
    }
  });
}

type Encryption = { readonly wanted: "never" | "if possible" | "always"; readonly tls: TlsSettings };

/** Without a word about it as in libpq: encrypted where the server can, and verified only where asked for. */
function encryptionOf(tls: boolean | TlsSettings | undefined, mode: string | null): Encryption {
  if (tls === false) return { wanted: "never", tls: {} };
  if (tls !== undefined) return { wanted: "always", tls: tls === true ? {} : tls };
  if (mode === "disable") return { wanted: "never", tls: {} };
  if (mode === "verify-ca" || mode === "verify-full") return { wanted: "always", tls: {} };
  return { wanted: mode === "require" ? "always" : "if possible", tls: { insecure: true } };
}

/** SSLRequest. Source: PostgreSQL's documentation, "Message Formats". */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

async function negotiate(conversation: Conversation, { wanted, tls }: Encryption, host: string) {
  if (wanted === "never") return;
  const { where } = conversation;
  conversation.write(SSL_REQUEST);
  const answer = (await conversation.take(1, "no answer to the first word")).toString("latin1");
  if (answer === "S") return await conversation.secure(tls, host);
  if (answer !== "N")
    throw new Ended({
      class: "protocol",
      message: `${where}: what it answers is not PostgreSQL's protocol.`,
    });
  if (wanted === "always")
    throw new Ended({
      class: "tls",
      message: `${where} does not encrypt connections, and one was asked for.`,
    });
}

/** The driver connects its stream itself; this one is. */
function opened(socket: Socket): Socket {
  socket.connect = () => {
    queueMicrotask(() => {
      socket.resume();
      socket.emit("connect");
    });
    return socket;
  };
  return socket;
}

/** Source: PostgreSQL's documentation, appendix A. */
const STATES: Readonly<Record<string, readonly [Failure["class"], string]>> = {
  "28P01": ["auth", "does not take this user and password"],
  "28000": ["auth", "does not let this user in from here"],
  "42501": ["auth", "does not let this user read that"],
  "53300": ["overloaded", "has as many connections as it takes"],
  "53200": ["overloaded", "is out of memory"],
  "57014": ["timeout", "ended the statement, which took too long"],
  "57P01": ["starting", "is shutting down"],
  "57P02": ["starting", "has crashed, and restarts"],
  "57P03": ["starting", "is starting or stopping"],
  "3D000": ["missing", "has no such database"],
  "3F000": ["missing", "has no such schema"],
  "42P01": ["missing", "has no such table"],
};

function told(where: string, error: unknown): unknown {
  const code = errorCodeOf(error) ?? "";
  const known = STATES[code];
  if (known !== undefined) return new Ended({ class: known[0], message: `${where} ${known[1]} (${code}).` });
  const message = messageOf(error);
  if (/SASL|SCRAM|password/i.test(message))
    return new Ended({ class: "auth", message: `${where} asks for a password.` });
  if (/terminated/.test(message))
    return new Ended({ class: "reset", message: `${where} closed the connection before its answer.` });
  // A state of the server's: five letters and digits.
  if (/^[0-9A-Z]{5}$/.test(code))
    return new Ended({ class: "status", message: `${where} answers with the error ${code}.` });
  return new Ended(driverFailure(error, where, "PostgreSQL's protocol"));
}
