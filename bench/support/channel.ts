import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { WebSocket } from "ws";
import type { LoadOptions } from "./load-messages.ts";
import type { LoadRecord } from "./load-record.ts";
import { machineMs } from "./machine-clock.ts";

const RECONNECT_MS = 50;
const ECHO_EVERY_MS = 250;
const ECHO_TIMEOUT_MS = 10_000;
// "Normal closure", "going away", "service restart": what a server says that wants its client to connect again.
const POLITE_CODES = new Set([1000, 1001, 1012]);

type Hello = { version: string | null; instance: string | null };

/** Keeps one WebSocket open, reconnecting when told to, and checks that what it says comes back. */
export async function runWebSocket(
  options: LoadOptions,
  record: LoadRecord,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await oneWebSocket(options, record, signal);
    await sleep(RECONNECT_MS);
  }
}

function oneWebSocket(options: LoadOptions, record: LoadRecord, signal: AbortSignal): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${options.port}/api/live`, {
    headers: { host: options.host },
  });
  let hello: Hello = { version: null, instance: null };
  let echoOwedSince: number | null = null;
  const fail = (what: string) => record.failure({ at: machineMs(), what: `WebSocket: ${what}` });
  const say = () => {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (echoOwedSince === null) {
      echoOwedSince = machineMs();
      socket.send("are you there");
    } else if (machineMs() - echoOwedSince > ECHO_TIMEOUT_MS) {
      fail(`no echo within ${ECHO_TIMEOUT_MS} ms`);
      socket.terminate();
    }
  };
  const talking = setInterval(say, ECHO_EVERY_MS);
  const leave = () => socket.close(1000);
  signal.addEventListener("abort", leave, { once: true });
  socket.on("open", () => {
    record.openChannels += 1;
    if (signal.aborted) leave();
  });
  socket.on("message", (data) => {
    record.message();
    const message = JSON.parse(String(data));
    if (message.type === "hello") hello = message;
    if (message.type === "echo") echoOwedSince = null;
  });
  return new Promise((resolve) => {
    let opened = false;
    socket.once("open", () => {
      opened = true;
    });
    // An error is always followed by "close"; before the handshake it is the failure itself.
    socket.on("error", (error) => !opened && !signal.aborted && fail(`did not open (${error.message})`));
    socket.once("close", (code, reason) => {
      clearInterval(talking);
      signal.removeEventListener("abort", leave);
      if (opened) record.openChannels -= 1;
      const detail = `code ${code} ${reason}`.trim();
      const polite = POLITE_CODES.has(code);
      if (opened && !signal.aborted)
        record.closing({ at: machineMs(), kind: "websocket", ...hello, polite, detail });
      resolve();
    });
  });
}

/** Keeps one event stream open, reconnecting when it ends. */
export async function runStream(
  options: LoadOptions,
  record: LoadRecord,
  signal: AbortSignal,
): Promise<void> {
  const dispatcher = new Agent({
    pipelining: 1,
    bodyTimeout: ECHO_TIMEOUT_MS,
    headersTimeout: ECHO_TIMEOUT_MS,
  });
  while (!signal.aborted) {
    await oneStream(options, record, signal, dispatcher);
    await sleep(RECONNECT_MS);
  }
  await dispatcher.destroy();
}

async function oneStream(options: LoadOptions, record: LoadRecord, signal: AbortSignal, dispatcher: Agent) {
  let hello: Hello = { version: null, instance: null };
  let opened = false;
  const closing = (polite: boolean, detail: string) =>
    record.closing({ at: machineMs(), kind: "stream", ...hello, polite, detail });
  try {
    const url = `http://127.0.0.1:${options.port}/api/events`;
    const answer = await request(url, { dispatcher, signal, headers: { host: options.host } });
    if (answer.statusCode !== 200)
      throw new Error(`status ${answer.statusCode}: ${await answer.body.text()}`);
    opened = true;
    record.openChannels += 1;
    for await (const chunk of answer.body) {
      record.message();
      const greeting = /"type":"hello".*?\}/.exec(String(chunk))?.[0];
      if (greeting) hello = JSON.parse(`{${greeting}`);
    }
    closing(true, "the stream ended");
  } catch (error) {
    if (signal.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    if (opened) closing(false, reason);
    else record.failure({ at: machineMs(), what: `Event stream: did not open (${reason})` });
  } finally {
    if (opened) record.openChannels -= 1;
  }
}
