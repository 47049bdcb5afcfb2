import { type IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../foundation/clock.ts";
import type { AccessLog } from "./access-log.ts";
import type { Connection, Connections } from "./connections.ts";
import type { Content } from "./content.ts";
import { countAnswer } from "./counters.ts";
import type { Holding } from "./holding.ts";
import type { Sticky } from "./sticky.ts";
import type { Streams } from "./streams.ts";
import type { Served, Table } from "./table.ts";

/** What every request of a worker shares. */
export type Gateway = {
  readonly table: Table;
  readonly sticky: Sticky;
  readonly accessLog: AccessLog;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly content: Content;
  readonly streams: Streams;
  readonly holding: Holding;
  readonly ids: (prefix: string) => string;
  readonly drainTimeoutMs: number;
  /** True once this worker is being replaced: every answer asks its client to connect again. */
  draining: boolean;
};

/** A response that knows its exchange, so that one shared listener serves all of them. */
export class GatewayResponse extends ServerResponse<IncomingMessage> {
  exchange: Exchange | null = null;
}

/** One request and its answer, from the parsed head to the closed response: the place of all book-keeping. */
export class Exchange {
  readonly gateway: Gateway;
  readonly req: IncomingMessage;
  readonly res: GatewayResponse;
  readonly connection: Connection;
  readonly startedMs: number;
  host = "";
  path = "";
  served: Served | null = null;
  /** True: the request named its release (skew protection). */
  named = false;
  /** False: what is asked of a release's own host, or by the prober, is no visitor's traffic. */
  isVisit = true;
  /** A `Set-Cookie` value to send, or null. */
  setCookie: string | null = null;
  /** Status of the answer; 0 until there is one. */
  status = 0;
  bytes = 0;
  /** Ends the upstream half when the client goes away. */
  onGone: (() => void) | null = null;

  constructor(gateway: Gateway, req: IncomingMessage, res: GatewayResponse) {
    this.gateway = gateway;
    this.req = req;
    this.res = res;
    this.startedMs = gateway.clock.monotonicMs();
    this.connection = gateway.connections.of(req.socket);
    this.connection.busy++;
    res.exchange = this;
    res.on("close", onClose);
  }

  /** Notes which release answers; from here on the request counts as its. */
  assign(served: Served): void {
    this.served = served;
    if (this.isVisit) served.tally.requests++;
    served.tally.inFlight++;
  }

  /** Notes the answer's status, as soon as it is known. */
  answered(status: number): void {
    this.status = status;
    if (this.gateway.draining) this.res.shouldKeepAlive = false;
    if (this.served === null || !this.isVisit) return;
    countAnswer(this.served.tally, status, this.gateway.clock.monotonicMs() - this.startedMs);
  }

  finish(): void {
    const { gateway, req, res, connection, served } = this;
    const nowMs = gateway.clock.monotonicMs();
    connection.busy--;
    connection.idleSinceMs = nowMs;
    if (served !== null) served.tally.inFlight--;
    if (!res.writableFinished) this.onGone?.();
    // The rest of an upload that was answered early: read it, or the connection's next request is never seen.
    else if (!req.complete) req.unpipe().resume();
    gateway.accessLog.write({
      host: this.host,
      method: req.method ?? "",
      path: this.path,
      // nginx's word for a client that did not wait.
      status: this.status === 0 ? 499 : this.status,
      bytes: this.bytes,
      ms: nowMs - this.startedMs,
      release: served === null ? "" : served.id,
      address: connection.address,
    });
  }
}

function onClose(this: GatewayResponse): void {
  this.exchange?.finish();
}
