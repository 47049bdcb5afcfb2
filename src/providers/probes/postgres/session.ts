import type pg from "pg";
import type { ProbeContext } from "../../../checks/probe-kind.ts";
import { messageOf } from "../../../foundation/errors.ts";
import { connect, isConnected } from "../connect.ts";
import { driverFailure, timedOut } from "../connection-failure.ts";
import { type Conversation, Ended } from "../conversation.ts";
import type { Endpoint } from "../endpoint.ts";
import { fieldsEnd } from "./fields-end.ts";
import { cancelRequest, refusal } from "./wire.ts";

/** For the request to cancel, once nobody waits for the answer any more. */
const CANCEL_TIMEOUT_MS = 250;
/** So much earlier than we the server gives up by itself. */
const HEAD_START_MS = 50;

/** A session that is logged in, in a transaction that can only read. */
export type Session = {
  /** One statement. @throws Ended */
  query(text: string): Promise<Record<string, unknown>[]>;
  /** The code of an error that leaves the session whole is returned. @throws Ended for any other */
  last(text: string): Promise<Record<string, unknown> | string>;
};

/** Logs in on the conversation's connection. What still runs when the signal comes is cancelled at the server. */
export async function withSession<T>(
  conversation: Conversation,
  endpoint: Endpoint & { readonly user: string; readonly database: string },
  context: ProbeContext,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const driver = await import("pg");
  const { where } = conversation;
  const stream = connected(conversation);
  const client = new driver.default.Client({
    stream: () => stream,
    ssl: false,
    host: endpoint.host,
    port: endpoint.port,
    user: endpoint.user,
    database: endpoint.database,
    // A function: an empty one is not looked for elsewhere on this machine.
    password: () => endpoint.password ?? "",
    application_name: "signalbox-probe",
  });
  // The same error rejects what is being waited for.
  client.on("error", () => {});
  let awaited = "logging in did not end";
  const step = async <R>(what: string, work: () => Promise<R>): Promise<R> => {
    awaited = what;
    return await work();
  };
  try {
    await step(awaited, () => client.connect());
    const limitMs = Math.max(1, Math.floor(context.timeoutMs - conversation.elapsedMs() - HEAD_START_MS));
    const opening = `begin transaction read only; set local statement_timeout = ${limitMs}; select 1`;
    await step("logged in, and no answer to select 1", () => client.query(opening));
    const result = await use({
      query: (text) =>
        step("logged in, and no answer to the query", async () => {
          // Only this way of asking refuses a second statement, which could leave the transaction.
          const asked = { text, queryMode: "extended" };
          return (await client.query(asked)).rows;
        }),
      last: (text) => step("logged in, and no answer about its state", () => lastOf(client, text)),
    });
    void client.end().catch(() => {});
    return result;
  } catch (error) {
    if (error instanceof Ended) throw error;
    if (!context.signal.aborted) throw new Ended(failureOf(error, where));
    await cancel(client, endpoint, context);
    throw new Ended(timedOut(where, conversation.elapsedMs(), awaited));
  }
}

async function lastOf(client: pg.Client, text: string): Promise<Record<string, unknown> | string> {
  try {
    const results: unknown = await client.query(`${text}; commit`);
    return (results as pg.QueryResult[])[0]?.rows[0] ?? "";
  } catch (error) {
    const code = sqlState(error);
    if (!/^(42|0A|22)/.test(code)) throw error;
    await client.query("rollback");
    return code;
  }
}

/** The driver wants to connect; its connection is there already. */
function connected(conversation: Conversation) {
  const socket = conversation.handOver(fieldsEnd());
  if (socket.destroyed)
    throw new Ended({ class: "reset", message: `${conversation.where} closed the connection.` });
  return Object.assign(socket, {
    connect: () => {
      queueMicrotask(() => {
        socket.emit("connect");
        socket.resume();
      });
      return socket;
    },
  });
}

function failureOf(error: unknown, where: string) {
  const code = sqlState(error);
  if (code !== "") return refusal(where, code, messageOf(error));
  if (/Connection terminated/.test(messageOf(error)))
    return { class: "reset", message: `${where} closed the connection before its answer.` } as const;
  // Of the driver: what the server asks for cannot be given.
  if (/SASL|SCRAM|password/i.test(messageOf(error)))
    return { class: "auth", message: `${where} does not take this user and password.` } as const;
  return driverFailure(error, where, "Postgres's protocol");
}

/** The five characters that every error of the server has. */
function sqlState(error: unknown): string {
  const code = error instanceof Error && "severity" in error && "code" in error ? String(error.code) : "";
  return /^[0-9A-Z]{5}$/.test(code) ? code : "";
}

/** A server that computes does not see that nobody is there any more, and would go on. */
async function cancel(client: pg.Client, { host, port }: Endpoint, context: ProbeContext): Promise<void> {
  const { processID, secretKey } = client as unknown as Record<string, number | null>;
  if (processID == null || secretKey == null) return;
  const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
  const made = await connect({ host, port, tls: null }, { ...context, signal });
  if (!isConnected(made)) return;
  const { socket } = made;
  await new Promise<void>((resolve) => {
    socket.on("error", () => resolve()).once("close", () => resolve());
    socket.end(cancelRequest(processID, secretKey), () => resolve());
  });
  socket.destroy();
}
