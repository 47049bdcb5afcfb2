import type { Health } from "./health.ts";
import type { FailoverPolicy, Side } from "./policy.ts";
import type { Switch } from "./tables.ts";

/** Where failover is decided: one project's production. */
export type PlaceKey = { readonly projectId: string; readonly environment: string };

/** A row of `failovers`, with what belongs to it. */
export type FailoverPlace = PlaceKey & {
  readonly project: string;
  readonly policy: FailoverPolicy;
  readonly asked: boolean;
  readonly liveId: string;
  readonly serving: Side;
  readonly servingSince: Date;
  readonly switchedBy: "automatic" | "person" | null;
  readonly automatic: boolean;
  readonly switch: Switch | null;
  readonly health: Health;
  readonly readAt: Date | null;
  readonly elsewhere: string | null;
  readonly leaseToken: number;
};
