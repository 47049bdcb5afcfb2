/**
 * One entry of a Build Output's `routes`. Source: vercel.com/docs/build-output-api/configuration and the schema of
 * `@vercel/routing-utils`. Fields that are not named here are for the build, and change nothing about an answer.
 */
export type Route = HandleRoute | SourceRoute;

/** All routes after it belong to that phase. Those before the first one are the start phase. */
export type HandleRoute = {
  readonly handle: "filesystem" | "hit" | "miss" | "rewrite" | "error" | "resource";
};

export type SourceRoute = {
  /** PCRE. It matches the whole path, whether or not it says `^` and `$`, and without regard to case. */
  readonly src: string;
  readonly caseSensitive?: boolean;
  /** Names as in HTTP, upper case. Absent: all. */
  readonly methods?: readonly string[];
  /** All of them must hold. Their named groups can be used in `dest`, `headers` and `transforms`. */
  readonly has?: readonly Condition[];
  /** None of them may hold. */
  readonly missing?: readonly Condition[];
  /** A path or an absolute URL, with `$1`, `$name` and `$wildcard`. Its query joins the request's. */
  readonly dest?: string;
  /** For the answer. `Location` with a status of 3xx is a redirect. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
  /** True: its effects stay, and the next route is tried with the path as it is now. */
  readonly continue?: boolean;
  /** True: `dest` counts only when something is there; that includes the miss and the rewrite phase. */
  readonly check?: boolean;
  /** For the build, which merges the routes of several builders; nothing for the router (see `compileRoutes`). */
  readonly override?: boolean;
  /** True: its headers win over those of the function that answers. */
  readonly important?: boolean;
  /** Key of a middleware function; it is asked before the next route. Start phase only. */
  readonly middlewarePath?: string;
  /** What the author wrote as matchers. `src` is made of it; the router does not need it. */
  readonly middlewareRawSrc?: readonly string[];
  readonly locale?: {
    /** Where a visitor of a locale is sent, by locale in lower or upper case. */
    readonly redirect?: Readonly<Record<string, string>>;
    /** A cookie that names the visitor's locale, and wins over `Accept-Language`. */
    readonly cookie?: string;
  };
  readonly transforms?: readonly Transform[];
  /**
   * `deny` answers 403: that is the route's whole purpose. `challenge` is read and not acted on: it has the
   * visitor's browser prove itself to Vercel's own service, and there is none here; the route applies as for a
   * visitor who passed.
   */
  readonly mitigate?: { readonly action: string };
};

export type Condition =
  | { readonly type: "host"; readonly value: Matchable }
  | { readonly type: "header" | "cookie" | "query"; readonly key: string; readonly value?: Matchable };

/** A string is a PCRE for the whole value. Of an object all that it names must hold. */
export type Matchable = string | Comparison;

export type Comparison = {
  readonly eq?: string | number;
  readonly neq?: string | number;
  readonly inc?: readonly (string | number)[];
  readonly ninc?: readonly (string | number)[];
  readonly pre?: string;
  readonly suf?: string;
  readonly re?: string;
  readonly gt?: number;
  readonly gte?: number;
  readonly lt?: number;
  readonly lte?: number;
};

export type Transform =
  | {
      readonly type: "request.headers" | "request.query" | "response.headers";
      readonly op: "set" | "append" | "delete";
      readonly target: { readonly key: string | Omit<Comparison, "re"> };
      readonly args?: string | readonly string[];
      /** Environment variables are for builds at Vercel; a name stays as it is written. */
      readonly env?: readonly string[];
    }
  /** The path that the function sees, without effect on what is found. */
  | {
      readonly type: "request.path";
      readonly op: "set";
      readonly args: string;
      readonly env?: readonly string[];
    };

/** `$wildcard` in a `dest` or header is the value of the entry whose domain the request's host is. */
export type Wildcard = { readonly domain: string; readonly value: string };
