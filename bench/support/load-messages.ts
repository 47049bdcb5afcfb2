/** What the load is: `visitors` keep-alive connections, each pausing `thinkMs` between requests, and open channels. */
export type LoadOptions = {
  readonly port: number;
  /** Sent as `Host`; the connection itself goes to 127.0.0.1. */
  readonly host: string;
  readonly visitors: number;
  readonly thinkMs: number;
  readonly webSockets: number;
  readonly streams: number;
};

/** One complete, correct answer. Times are `machineMs`. */
export type Answer = {
  readonly sentAt: number;
  readonly at: number;
  /** Null where the answer is a file that says nothing of its release. */
  readonly version: string | null;
  /** Which process answered; null for files. */
  readonly instance: string | null;
};

/** A request without an answer, with a broken one, or with a status that the shop never gives to a right request. */
export type Failure = { readonly at: number; readonly what: string };

/** A WebSocket or event stream that its other side ended. */
export type Closing = {
  readonly at: number;
  readonly kind: "websocket" | "stream";
  readonly version: string | null;
  readonly instance: string | null;
  /** True: told properly (a close frame "going away", the end of the stream), so that the client just reconnects. */
  readonly polite: boolean;
  readonly detail: string;
};

export type Take = {
  readonly answers: readonly Answer[];
  readonly failures: readonly Failure[];
  readonly closings: readonly Closing[];
  /** Messages that came over WebSockets and event streams. */
  readonly messages: number;
  readonly openChannels: number;
};

export type ToWorker = { readonly type: "take" | "stop" };
export type FromWorker = { readonly type: "take" | "stopped"; readonly take: Take };
