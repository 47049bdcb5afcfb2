import type net from "node:net";
import { z } from "zod";
import type { Failure, Outcome } from "../../checks/model.ts";
import { defineProbe, type ProbeContext } from "../../checks/probe-kind.ts";
import { closeSoon, connect, hostAndPort, isConnected } from "./connect.ts";
import { connectionFailure, timedOut } from "./connection-failure.ts";
import { hostName, port, securable } from "./host-and-port.ts";

const tcpSettings = z.strictObject({
  host: hostName,
  port,
  ...securable,
  /** Sent once connected. */
  send: z.string().min(1).max(65_536).optional(),
  /** Text that must come, at its greeting or as an answer, within the first 64 KiB. */
  expect: z.string().min(1).max(4_096).optional(),
});
type TcpSettings = z.output<typeof tcpSettings>;

/** That somebody takes the connection, and says what is expected of it. */
export const tcp = defineProbe<TcpSettings>({
  type: "tcp",
  settings: tcpSettings,
  subject: (settings) => `${settings.tls ? "tls" : "tcp"}://${hostAndPort(settings)}`,
  host: ({ host }) => host,
  run: async (settings, context) => {
    const { host, tls, ca, insecure, send, expect } = settings;
    const connected = await connect(
      { host, port: settings.port, tls: tls ? { ca, insecure } : null },
      context,
    );
    if (!isConnected(connected)) return connected;
    const { socket, address, phases } = connected;
    if (expect === undefined) {
      if (send !== undefined) socket.write(send);
      closeSoon(socket, context.signal);
      return { status: "up", phases, observed: { address } };
    }
    const startedMs = context.clock.monotonicMs();
    const { failure, firstByteMs } = await hear(
      socket,
      { send, expect, where: hostAndPort(settings) },
      context,
    );
    const heard = firstByteMs === null ? phases : { ...phases, firstByteMs: firstByteMs - startedMs };
    const outcome: Outcome = failure === null ? { status: "up" } : { status: "down", failure };
    return { ...outcome, phases: heard, observed: { address } };
  },
});

type Asked = { readonly send: string | undefined; readonly expect: string; readonly where: string };
type Heard = { readonly failure: Failure | null; readonly firstByteMs: number | null };

const MAX_BYTES = 65_536;

function hear(socket: net.Socket, asked: Asked, { signal, clock }: ProbeContext): Promise<Heard> {
  const { promise, resolve } = Promise.withResolvers<Heard>();
  const startedMs = clock.monotonicMs();
  const wanted = JSON.stringify(asked.expect);
  let answer = Buffer.alloc(0);
  let firstByteMs: number | null = null;
  const end = (failure: Failure | null) => {
    signal.removeEventListener("abort", onAbort);
    socket.destroy();
    resolve({ failure, firstByteMs });
  };
  const lacks = (what: string): Failure => ({
    class: "assertion",
    message: `${asked.where}: ${what} without ${wanted} among them.`,
  });
  const onAbort = () => {
    const what =
      answer.length === 0 ? "connected, and nothing came" : `${answer.length} bytes, and no ${wanted}`;
    end(timedOut(asked.where, clock.monotonicMs() - startedMs, what));
  };
  const onClosed = () => {
    const closed: Failure = {
      class: "reset",
      message: `${asked.where} closed the connection without a word.`,
    };
    end(answer.length === 0 ? closed : lacks(`closed after ${answer.length} bytes,`));
  };
  socket.on("data", (chunk: Buffer) => {
    firstByteMs ??= clock.monotonicMs();
    answer = Buffer.concat([answer, chunk]);
    if (answer.includes(asked.expect)) end(null);
    else if (answer.length > MAX_BYTES) end(lacks(`the first ${MAX_BYTES} bytes came`));
  });
  socket.on("error", (error) => end(connectionFailure(error, asked.where, "open")));
  socket.on("end", onClosed).on("close", onClosed);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  if (asked.send !== undefined) socket.write(asked.send);
  return promise;
}
