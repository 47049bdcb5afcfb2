/** What a project's configuration asks for. Kept in the plan of the deployment that it came with. */
export type FailoverPolicy = {
  readonly to: "dock";
  /** What visitors open. Null: the standby is kept, and moving visitors is left to people. */
  readonly hostname: string | null;
  /** The hostname's address as visitors open it. Null without a hostname. */
  readonly url: string | null;
  /** Null: Signalbox moves nothing. */
  readonly switch: SwitchOptions | null;
  readonly automatic: boolean;
  readonly probe: {
    readonly intervalMs: number;
    readonly timeoutMs: number;
    /** The release at the platform's own address; null: the first public address of the main service. */
    readonly primaryUrl: string | null;
    /** Addresses elsewhere, which tell whether it is we who are cut off. */
    readonly witnesses: readonly string[];
    /** `summary.json` of the platform's status page. */
    readonly statusPage: string | null;
  };
  readonly away: { readonly failures: number; readonly forMs: number };
  readonly recovered: { readonly successes: number; readonly forMs: number };
  readonly minIntervalMs: number;
  readonly maxPerDay: number;
};

/** Who can serve the hostname: the platform, or the dock. */
export type Side = "primary" | "standby";

export type CloudflareOptions = {
  readonly kind: "cloudflare";
  /** Name or id. */
  readonly zone: string;
  /** The record's content on each side: both names, or both addresses of one family. */
  readonly primary: string;
  readonly standby: string;
  readonly ttlS: number;
  readonly proxied: boolean;
};

export type WebhookOptions = { readonly kind: "webhook"; readonly url: string };

export type SwitchOptions = CloudflareOptions | WebhookOptions;
