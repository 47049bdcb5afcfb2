/** What the router needs to know of a request. It asks for no more than the routes do. */
export type RouteRequest = {
  /** Upper case. */
  readonly method: string;
  /** As in the URL, with its escapes, in the one spelling of `canonicalPath`. */
  readonly path: string;
  /** With the question mark; empty when there is none. */
  readonly query: string;
  /** Lower case, without port. */
  readonly host: string;
  /** @param name in lower case; several lines are joined as HTTP says (`, `, cookies `; `) */
  readonly header: (name: string) => string | undefined;
};

/**
 * What the output has at a path: a static file, a function, a prerender; opaque to the router. Null: nothing. Paths
 * come as the routes spell them, with escapes where the request had some.
 */
export type Lookup<Output> = (path: string) => Output | null;

/** For the answer. Names in lower case; several values are several lines (`set-cookie`). */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/** One change of a list of headers or parameters, to be made in order. Names in lower case where they are headers. */
export type Change = {
  readonly op: "set" | "append" | "delete";
  /** An exact name, or whether a name is meant. */
  readonly key: string | ((name: string) => boolean);
  /** With `delete`: only these values. None: all. */
  readonly values: readonly string[];
};

/** What every outcome brings along. */
type Common = {
  /** Set them on the answer, unless the function that answers sets them itself. */
  readonly headers: AnswerHeaders;
  /** Set them on the answer whatever else sets them. */
  readonly important: AnswerHeaders;
  /** Then make these changes, with `applyChanges`. */
  readonly responseChanges: readonly Change[];
  /** For the request that a function or another host gets: middleware and transforms. With `applyChanges`. */
  readonly requestChanges: readonly Change[];
};

/** What routing makes of a request. */
export type Routed<Output> = Common &
  (
    | {
        readonly kind: "output";
        /** What `lookup` returned. */
        readonly output: Output;
        /** Where it was found. */
        readonly path: string;
        /** What the function gets: the destination's parameters and the request's. */
        readonly query: string;
        /** Wins over the status of the file or the function. Null: theirs. */
        readonly status: number | null;
        /** What the pattern caught that led here, by number and name. Empty: the path was found as asked. */
        readonly matches: Readonly<Record<string, string>>;
        /** The path that the function is to see instead of the requested one. Null: that. */
        readonly seenPath: string | null;
      }
    /** `headers.location` says where. */
    | { readonly kind: "redirect"; readonly status: number }
    /** An answer without an output: `status: 404` and the like. An error has a page: see `routeError`. */
    | { readonly kind: "status"; readonly status: number; readonly path: string; readonly query: string }
    /** Forward it there, query and path included. */
    | { readonly kind: "external"; readonly url: string }
    /** Nothing is there: a 404 (see `routeError`), or whatever the caller has for the rest, with this path. */
    | { readonly kind: "none"; readonly path: string; readonly query: string }
    /** Run this function on the request (path and query as here, `requestChanges` made), then resume once. */
    | {
        readonly kind: "middleware";
        readonly middlewarePath: string;
        readonly path: string;
        readonly query: string;
        readonly resume: (answer: MiddlewareAnswer) => Routed<Output>;
      }
    /** The middleware has answered: send its status and body, with these headers (its own are among them). */
    | { readonly kind: "response"; readonly status: number }
  );

/** The head of what a middleware answered, `x-middleware-*` headers included. The caller keeps the body. */
export type MiddlewareAnswer = {
  readonly status: number;
  /** Several lines of one name are several entries. */
  readonly headers: Iterable<readonly [name: string, value: string]>;
};

/** The page of an error, with the headers of the error phase. `output` null: no page of the release's own. */
export type RoutedError<Output> = {
  readonly output: Output | null;
  readonly path: string;
  readonly query: string;
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly important: AnswerHeaders;
  readonly responseChanges: readonly Change[];
};
