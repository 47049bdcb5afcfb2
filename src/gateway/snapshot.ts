import type { Route } from "../routing/index.ts";

export type { Route };

/**
 * What the gateway serves, whole and immutable. The dock pushes a new one over the gateway's unix socket for every
 * change; the gateway answers once every worker serves it and it is on disk.
 */
export type Snapshot = {
  readonly version: 1;
  /**
   * Strictly increasing. A push with a lower or equal one is refused, so that a late sender cannot undo a newer one.
   */
  readonly generation: number;
  /** By host name: lower case, no port. */
  readonly hosts: Readonly<Record<string, HostRoute>>;
  /** By release id (the dock's `dpl_…`). */
  readonly releases: Readonly<Record<string, Release>>;
  /** Hosts that had a deployment which was not kept any longer. Absent: none. */
  readonly gone?: readonly string[];
};

/** Where the requests of one host go. */
export type HostRoute = {
  /** Weights are whole percents and sum to 100. One entry: everything. Every release named exists in `releases`. */
  readonly targets: readonly WeightedRelease[];
  /**
   * Salt of the visitor-to-bucket hash, and the name of the sticky cookie's group. The same value keeps visitors
   * where they are while weights rise (monotone); a new rollout brings a new one. Null: no split.
   */
  readonly rollout: string | null;
  /** True: a release's own, immutable host. What is asked there, by probes above all, is no visitor's traffic. */
  readonly own?: boolean;
  /** True: visitors get the sticky cookie without a split too, so that a later flip can let them stay for a while. */
  readonly sticky?: boolean;
  /** Releases that lost the host: a visitor whose sticky cookie names one keeps it until then. Absent: none. */
  readonly draining?: readonly TimedRelease[];
  /**
   * Skew protection: releases of the same project that a request may name, besides the targets. Absent: off, and
   * nothing that a request names is looked at.
   */
  readonly nameable?: readonly TimedRelease[];
  /** Requests wait instead of being answered. Absent or null: none. */
  readonly hold?: Hold | null;
  /** What stands before the releases: who does not pass is answered by the gateway. Absent: nothing. */
  readonly gate?: Gate;
};

export type Gate =
  | { readonly kind: "paused" }
  /** Path and query stay, and so does the scheme. */
  | { readonly kind: "redirect"; readonly to: string; readonly status: number }
  /** Passed with a secret whose SHA-256 (hex) is one of these. */
  | { readonly kind: "protected"; readonly bypass: readonly string[] };

/** Valid until `untilMs`, milliseconds since 1970 by the gateway's clock. */
export type TimedRelease = { readonly release: string; readonly untilMs: number };

/** Bounded by itself: it ends at `untilMs` although nobody may be left to lift it. */
export type Hold = {
  readonly id: string;
  /** Milliseconds since 1970. From then on new requests pass, and those that still wait fail. */
  readonly untilMs: number;
  /** The longest that one request waits, also when the hold is made longer meanwhile. */
  readonly maxMs: number;
  /** How many wait at once, over all workers; more are refused. Each worker has an equal part of it. */
  readonly maxRequests: number;
};

/** The last target of a split is the canary, the first the stable one. A weight may be 0: reached by override only. */
export type WeightedRelease = { readonly release: string; readonly weight: number };

export type Release = {
  readonly id: string;
  readonly project: string;
  /** Absolute path of the release's `Manifest`, a JSON file that never changes. */
  readonly manifest: string;
  /** Absolute path of the unix socket that the release's process listens on; null for a static release. */
  readonly socket: string | null;
};

/** What a release is made of. Written by the dock's builder, read by the gateway's workers. */
export type Manifest = {
  readonly version: 1;
  /**
   * Absolute path of the content store: the bytes of digest `abcd…` are at `<store>/ab/cd…` (2 characters, then the
   * rest).
   */
  readonly store: string;
  /** By URL path as requested, decoded, with the leading slash: `/index.html`, `/assets/a.js`. */
  readonly files: Readonly<Record<string, ManifestFile>>;
  /** Build Output API v3 routes, in order, `handle` entries included; empty for plain static sites and servers. */
  readonly routes: readonly Route[];
  /** True: what no file and no route answers goes to the release's process. */
  readonly server: boolean;
  /** True: `/about` answers from `/about.html`, and `/about.html` redirects to `/about`. */
  readonly cleanUrls: boolean;
};

export type ManifestFile = {
  /** SHA-1 of the bytes, hex: the content store's key, and the ETag. */
  readonly digest: string;
  readonly size: number;
  /** The `Content-Type`, charset included. */
  readonly type: string;
  /** True for names with a content hash in them: `public, max-age=31536000, immutable`. Otherwise revalidate. */
  readonly immutable: boolean;
  /** Precompressed variants in the same store. */
  readonly encodings: Readonly<Partial<Record<"br" | "gzip", { digest: string; size: number }>>>;
};

/** Totals of one release since the gateway's primary started. Monotone; a reader subtracts two readings. */
export type ReleaseCounters = {
  readonly requests: number;
  /** Answers with a status of 500 or above, of the release or made by the gateway for it (502, 504). */
  readonly errors5xx: number;
  /** Requests in flight now, WebSockets included. */
  readonly inFlight: number;
  /** Of these, the WebSockets and event streams: open until somebody ends them. */
  readonly streams: number;
  /** Cumulative counts of answers at or under each bound of `LATENCY_BOUNDS_MS`, then all. */
  readonly latency: readonly number[];
  readonly latencySumMs: number;
};

export const LATENCY_BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000] as const;
