/** What the output server and the process of one function say to each other over IPC. Requests go by HTTP instead. */

export type FunctionKind = "node" | "edge";

export type LoadMessage = {
  readonly type: "load";
  readonly kind: FunctionKind;
  /** Absolute: the function's own directory, which becomes its working directory. */
  readonly root: string;
  /** Relative to `root`. */
  readonly handler: string;
  /** Where it listens. */
  readonly socket: string;
  /** Variables of this function only, over those that the process was started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** Edge only: the names it may read; null is all of them. */
  readonly visible: readonly string[] | null;
  /** Edge only: files that it may fetch as `blob:<name>` or has as WebAssembly modules, by name. */
  readonly assets: readonly { readonly name: string; readonly path: string }[];
  readonly helpers: boolean;
  /** Called with a `Request` whatever its exports are: middleware, and functions built with `useWebApi`. */
  readonly webApi: boolean;
  /** A client that goes away aborts the handler's signal. Vercel does it for functions that ask for it. */
  readonly cancellation: boolean;
  /** Of its log lines. */
  readonly source: "serverless" | "edge-function" | "edge-middleware";
  /** Of its log lines: `/api/hello`. */
  readonly name: string;
};

export type ToFunction = LoadMessage | { readonly type: "end"; readonly graceMs: number };

export type FromFunction =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly reason: string }
  /** Work handed to `waitUntil` is under way, or none is. */
  | { readonly type: "busy"; readonly busy: boolean }
  /** An error that nobody caught: it finishes what is in flight and gets nothing new. */
  | { readonly type: "retire" };

/** On a 500 of the launcher itself, so that the server answers with Vercel's error page in its place. */
export const FAILED_HEADER = "x-signalbox-failed";
