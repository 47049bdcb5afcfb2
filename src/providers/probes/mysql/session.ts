import type { Socket } from "node:net";
import type { Connection } from "mysql2";
import type { ProbeContext } from "../../../checks/probe-kind.ts";
import { messageOf } from "../../../foundation/errors.ts";
import { driverFailure, timedOut } from "../connection-failure.ts";
import { type Conversation, converse, Ended } from "../conversation.ts";
import type { Endpoint } from "../endpoint.ts";
import { type Encryption, encrypt, type Greeting, greeting, refusal } from "./wire.ts";

/** For a second login to stop what nobody waits for any more. */
const KILL_TIMEOUT_MS = 500;

export type Row = Readonly<Record<string, unknown>>;

export type Session = {
  readonly version: string;
  readonly encrypted: boolean;
  /** @throws Ended */
  query(text: string): Promise<readonly Row[]>;
  /** The number of the server's error, where that is one of `errors`. @throws Ended for any other */
  attempt(text: string, errors: readonly number[]): Promise<readonly Row[] | number>;
};

export type Login = Endpoint & { readonly encryption: Encryption; readonly database: string };

/** Logs in on the conversation's connection. What still runs when the signal comes is killed at the server. */
export async function withSession<T>(
  conversation: Conversation,
  login: Login,
  context: ProbeContext,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const { where } = conversation;
  const opened = await open(conversation, login);
  const { connection } = opened;
  let awaited = "logging in did not end";
  let isIn = false;
  const run = async (text: string): Promise<readonly Row[]> => {
    const rows = await answer(connection, text);
    isIn = true;
    awaited = "logged in, and no answer to a query";
    return rows;
  };
  try {
    await run("select 1");
    return await use({
      version: opened.version,
      encrypted: opened.encrypted,
      query: run,
      attempt: async (text, errors) => {
        try {
          return await run(text);
        } catch (error) {
          const code = numberOf(error);
          if (code === null || !errors.includes(code)) throw error;
          return code;
        }
      },
    });
  } catch (error) {
    if (error instanceof Ended) throw error;
    if (!context.signal.aborted) throw new Ended(failureOf(error, where));
    if (isIn) await kill(connection.threadId, login, context);
    throw new Ended(timedOut(where, conversation.elapsedMs(), awaited));
  } finally {
    // A goodbye; the connection itself is closed with the conversation.
    if (!context.signal.aborted) connection.end(() => {});
  }
}

/** No server may ask for files of this machine. */
const FLAGS = ["-LOCAL_FILES"];

/** Of the driver, and not in its types. */
type Untyped = {
  readonly ConnectionConfig: new (options: { flags: readonly string[] }) => { readonly clientFlags: number };
};

type Opened = { readonly connection: Connection; readonly version: string; readonly encrypted: boolean };

async function open(conversation: Conversation, login: Login): Promise<Opened> {
  const driver = await import("mysql2");
  const greeted = await greeting(conversation);
  if ("code" in greeted) throw new Ended(refusal(conversation.where, greeted.code));
  const { offersTls, version } = greeted;
  const capabilities = new (driver as unknown as Untyped).ConnectionConfig({ flags: FLAGS }).clientFlags;
  const wanted = login.encryption;
  const encrypted = await encrypt(conversation, login.host, { offersTls, wanted, capabilities });
  const socket = handOver(conversation, greeted, encrypted);
  const { caching_sha2_password } = driver.authPlugins;
  const connection = driver.createConnection({
    stream: socket,
    host: login.host,
    port: login.port,
    user: login.username ?? "",
    password: login.password ?? "",
    ...(login.database === "" ? {} : { database: login.database }),
    // The signal is what ends it.
    connectTimeout: 0,
    flags: encrypted ? [...FLAGS, "SSL"] : [...FLAGS],
    // It does not know that its connection is encrypted.
    ...(encrypted
      ? { authPlugins: { caching_sha2_password: caching_sha2_password({ overrideIsSecure: true }) } }
      : {}),
  });
  // The same error rejects what is being waited for.
  connection.on("error", () => {});
  if (encrypted) Object.assign(connection, { sequenceId: 1 });
  socket.resume();
  return { connection, version, encrypted };
}

/** With the greeting to be read again. After TLS it counts as the packet after which our request for TLS came. */
function handOver(conversation: Conversation, { packet }: Greeting, encrypted: boolean): Socket {
  const socket = conversation.handOver();
  if (socket.destroyed)
    throw new Ended({ class: "reset", message: `${conversation.where} closed the connection.` });
  const again = Buffer.from(packet);
  if (encrypted) again[3] = 1;
  socket.unshift(again);
  return socket;
}

function answer(connection: Connection, text: string): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    connection.query(text, (error, rows) => {
      if (error !== null) reject(error);
      else resolve(Array.isArray(rows) ? (rows as readonly Row[]) : []);
    });
  });
}

function numberOf(error: unknown): number | null {
  const code = error instanceof Error && "sqlState" in error && "errno" in error ? Number(error.errno) : 0;
  return code > 0 ? code : null;
}

function failureOf(error: unknown, where: string) {
  const code = numberOf(error);
  if (code !== null) return refusal(where, code);
  const message = messageOf(error);
  if (/^Connection lost|closed state/.test(message))
    return { class: "reset", message: `${where} closed the connection before its answer.` } as const;
  if (/unknown plugin|mysql_clear_password/.test(message))
    return {
      class: "unsupported",
      message: `${where} asks for a way to log in that is not known here.`,
    } as const;
  return driverFailure(error, where, "MySQL's protocol");
}

/** A server that computes does not see that nobody is there any more, and would go on. */
async function kill(threadId: number, login: Login, context: ProbeContext): Promise<void> {
  const signal = AbortSignal.timeout(KILL_TIMEOUT_MS);
  await converse({ ...login, tls: null }, { ...context, signal }, async (conversation) => {
    const { connection } = await open(conversation, login);
    await answer(connection, `kill ${threadId}`);
    return { status: "up" };
  });
}
