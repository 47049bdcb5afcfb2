import type pg from "pg";
import type { Clock } from "../foundation/clock.ts";
import type { Ids } from "../foundation/ids.ts";
import type { Log } from "../foundation/log.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import type { Alarm } from "./alarm.ts";
import type { Builder } from "./build/build.ts";
import type { BuildQueue } from "./deployments/build-queue.ts";
import type { EventLog } from "./deployments/event-log.ts";
import type { Keeper } from "./releases/keeper.ts";
import type { DockDatabase } from "./rows.ts";
import type { Runner } from "./run/run.ts";
import type { FileStore } from "./store/store.ts";
import type { GatewayLink } from "./traffic/gateway-link.ts";
import type { Publisher } from "./traffic/publisher.ts";
import type { Traffic } from "./traffic/traffic.ts";
import type { Hooks } from "./webhooks/hooks.ts";

/** A builder that can say which digests the artifacts on its disk need, so that a later build may reuse them. */
export type ArtifactKeeper = Builder & { digests?(): Promise<Set<string>> };

/** What the dock's verbs work with. Assembled once, in `index.ts`. */
export type Dock = {
  readonly db: DockDatabase;
  readonly pool: pg.Pool;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly domain: string;
  /** For so long a page may name the release it is of, where its project does not say. */
  readonly skewMaxAgeS: number;
  readonly store: FileStore;
  readonly builder: ArtifactKeeper;
  readonly runner: Runner;
  readonly secrets: SecretBox;
  readonly events: EventLog;
  readonly traffic: Traffic;
  readonly publisher: Publisher;
  readonly link: GatewayLink;
  readonly keeper: Keeper;
  readonly queue: BuildQueue;
  readonly hooks: Hooks;
  /** Of what the dock does by itself when its time comes. */
  readonly alarm: Pick<Alarm, "wake">;
};

/** The one team and the one user of a dock: whoever holds a token. */
export const TEAM = { id: "team_dock", slug: "dock", name: "Dock" } as const;
export const USER = { id: "user_dock", username: "dock", email: "dock@localhost", name: "Dock" } as const;
