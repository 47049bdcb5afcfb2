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
  /** The export that is called as AWS Lambda calls one; null: none is. */
  readonly lambda: string | null;
  /** Called with a `Request` whatever its exports are: middleware, and functions built with `useWebApi`. */
  readonly webApi: boolean;
  /** A client that goes away aborts the handler's signal. Vercel does it for functions that ask for it. */
  readonly cancellation: boolean;
  /** Of its log lines. */
  readonly source: "serverless" | "edge-function" | "edge-middleware";
  /** Of its log lines: `/api/hello`. */
  readonly name: string;
};

/** What functions keep beside their answers. Each space has its own keys. */
export type CacheSpace = "fetch" | "use" | "runtime";

/** What a function asks of the release's cache. */
export type CacheQuestion =
  | {
      readonly verb: "get";
      readonly space: CacheSpace;
      readonly key: string;
      /** Tags that make the value stale for this reader, beside its own. */
      readonly tags: readonly string[];
    }
  | {
      readonly verb: "set";
      readonly space: CacheSpace;
      readonly key: string;
      /** What JSON can say. */
      readonly value: unknown;
      readonly tags: readonly string[];
      /** null: until it makes way for others. */
      readonly ttlS: number | null;
      /** When its making began. Default: now. */
      readonly madeAtMs?: number;
    }
  | { readonly verb: "delete"; readonly space: CacheSpace; readonly key: string }
  /** Makes whatever has one of the tags stale, and gone after that many seconds; null is never. */
  | { readonly verb: "change"; readonly tags: readonly string[]; readonly goneInS: number | null }
  /** Asks for a page of this release; the value told is `{status, cache}`, the latter being `x-vercel-cache`. */
  | { readonly verb: "renew"; readonly path: string; readonly headers: readonly string[] };

export type CacheAnswer = {
  readonly value: unknown;
  readonly storedAtMs: number;
  readonly stale: boolean;
} | null;

export type ToFunction =
  | LoadMessage
  | { readonly type: "end"; readonly graceMs: number }
  /** The answer to the question with that number. A question that failed has null: nothing is kept. */
  | { readonly type: "told"; readonly id: number; readonly answer: CacheAnswer };

export type FromFunction =
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly reason: string }
  /** Work handed to `waitUntil` is under way, or none is. */
  | { readonly type: "busy"; readonly busy: boolean }
  /** An error that nobody caught: it finishes what is in flight and gets nothing new. */
  | { readonly type: "retire" }
  | { readonly type: "ask"; readonly id: number; readonly question: CacheQuestion };

/** On a 500 of the launcher itself, so that the server answers with Vercel's error page in its place. */
export const FAILED_HEADER = "x-signalbox-failed";
