/** The process that serves: everything it knows comes from the primary over IPC. */
import net from "node:net";
import { systemClock } from "../foundation/clock.ts";
import { errorCodeOf, messageOf } from "../foundation/errors.ts";
import { randomIds } from "../foundation/ids.ts";
import { noAccessLog, openAccessLog } from "./access-log.ts";
import { createConnections } from "./connections.ts";
import { createContent } from "./content.ts";
import type { Gateway } from "./exchange.ts";
import { createHolding } from "./holding.ts";
import type { ToPrimary, ToWorker, WorkerOptions } from "./messages.ts";
import { createGatewayServer, type GatewayServer } from "./server.ts";
import { createSticky } from "./sticky.ts";
import { createStreams } from "./streams.ts";
import { createTable } from "./table.ts";

// A client that was sent no `Connection: close` may be writing its next request right now: a connection is only
// closed after it has been silent for this long.
const IDLE_GRACE_MS = 5_000;
const SWEEP_MS = 250;
// A request that takes longer than this to answer does not hold up a replaced worker's end any more.
const LONGEST_REQUEST_MS = 300_000;
const COUNTERS_PUSH_MS = 250;

type Running = { readonly gateway: Gateway; readonly server: GatewayServer };

let running: Running | null = null;

process.on("message", (message: ToWorker) => {
  if (message.type === "start") start(message);
  else if (running !== null) handle(running, message);
});
// The primary decides when to stop; a Ctrl-C in the terminal reaches the whole process group.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.on("uncaughtException", (error) => {
  send({
    type: "log",
    level: "error",
    fields: { reason: messageOf(error), stack: error.stack },
    text: "worker crashed",
  });
  setImmediate(() => process.exit(1));
});

function send(message: ToPrimary): void {
  if (process.connected) process.send?.(message);
}

function start({ options, snapshot }: Extract<ToWorker, { type: "start" }>): void {
  try {
    const gateway = createGateway(options);
    if (snapshot !== null) gateway.table.apply(snapshot);
    const server = createGatewayServer(gateway);
    server.once("error", fail);
    server.listen({ host: options.host, port: options.port }, () => {
      running = { gateway, server };
      send({ type: "ready" });
    });
    pushCounters(gateway);
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): void {
  send({ type: "failed", code: errorCodeOf(error) ?? "", message: messageOf(error) });
}

function createGateway(options: WorkerOptions): Gateway {
  const clock = systemClock;
  const table = createTable(clock);
  return {
    table,
    sticky: createSticky(options.cookieSecret),
    accessLog: options.accessLog === null ? noAccessLog : openAccessLog(options.accessLog, clock),
    connections: createConnections(clock),
    content: createContent(),
    streams: createStreams({ clock, keepsForMs: table.keepsForMs }),
    holding: createHolding({ clock, workers: options.workers, holdOf: table.holdOf }),
    ids: randomIds,
    clock,
    drainTimeoutMs: options.drainTimeoutMs,
    draining: false,
  };
}

function handle({ gateway, server }: Running, message: Exclude<ToWorker, { type: "start" }>): void {
  switch (message.type) {
    case "snapshot":
      gateway.table.apply(message.snapshot);
      send({ type: "applied", generation: message.snapshot.generation });
      gateway.holding.settle();
      gateway.streams.drainMoved(gateway.drainTimeoutMs);
      return;
    case "count":
      return void send({ type: "counters", reading: message.reading, releases: gateway.table.counters() });
    case "drain":
      return void drain(gateway, server);
    case "stop":
      return void stop(gateway, server, message.graceMs);
  }
}

/** What a killed worker had counted must not be lost: the primary keeps its last reading. */
function pushCounters(gateway: Gateway): void {
  let last = "";
  setInterval(() => {
    const releases = gateway.table.counters();
    const text = JSON.stringify(releases);
    if (text !== last) send({ type: "counters", reading: null, releases });
    last = text;
  }, COUNTERS_PUSH_MS).unref();
}

/** Lets a newer worker take over: new connections are its, and ours end one by one, none in the middle of anything. */
async function drain(gateway: Gateway, server: GatewayServer): Promise<void> {
  if (gateway.draining) return;
  gateway.draining = true;
  stopListening(server);
  send({ type: "draining" });
  const startedMs = gateway.clock.monotonicMs();
  let streamsEnded = false;
  while (gateway.connections.size > 0) {
    const elapsedMs = gateway.clock.monotonicMs() - startedMs;
    if (elapsedMs > LONGEST_REQUEST_MS) break;
    if (elapsedMs >= gateway.drainTimeoutMs && !streamsEnded) {
      streamsEnded = true;
      gateway.streams.endAll();
    }
    gateway.connections.closeIdle(IDLE_GRACE_MS);
    await gateway.clock.sleep(SWEEP_MS);
  }
  leave(gateway);
}

async function stop(gateway: Gateway, server: GatewayServer, graceMs: number): Promise<void> {
  gateway.draining = true;
  stopListening(server);
  gateway.holding.failAll();
  gateway.streams.endAll();
  const startedMs = gateway.clock.monotonicMs();
  while (gateway.connections.size > 0 && gateway.clock.monotonicMs() - startedMs < graceMs) {
    gateway.connections.closeIdle(0);
    await gateway.clock.sleep(20);
  }
  leave(gateway);
}

/** `http.Server.close` would close idle connections at once, under clients that are just writing to them. */
function stopListening(server: GatewayServer): void {
  net.Server.prototype.close.call(server);
}

function leave(gateway: Gateway): void {
  gateway.accessLog.close();
  const last: ToPrimary = { type: "counters", reading: null, releases: gateway.table.counters() };
  if (process.connected) process.send?.(last, () => process.exit(0));
  else process.exit(0);
}
