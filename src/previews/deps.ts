import type { Actor } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import type { Log } from "../foundation/log.ts";
import type { ExistingPreview, PullRequests } from "./ports.ts";
import type { PreviewTables } from "./tables.ts";

export type TriggerPreview = {
  /** The project's name. */
  readonly project: string;
  readonly environment: "preview";
  readonly branch: string;
  readonly commit: string | undefined;
  readonly pullRequest: number | null;
  readonly source: { readonly git: string };
  /** The same key finds the first deployment again, also when two ask at once. */
  readonly deliveryKey: string;
};

export type PreviewDeps = {
  readonly db: Database<PreviewTables>;
  readonly clock: Clock;
  readonly log: Log;
  readonly providers: Readonly<Record<"github" | "branches", PullRequests>>;
  /** Queues a deployment and answers its id. */
  readonly trigger: (actor: Actor, input: TriggerPreview) => Promise<string>;
  readonly existing: (projectId: string) => Promise<readonly ExistingPreview[]>;
  /**
   * Cancels what is under way in the preview's place, lets go of all its releases and of its address. Idempotent: it is
   * asked again until `existing` no longer shows the place.
   */
  readonly close: (
    actor: Actor,
    input: { readonly projectId: string; readonly key: string; readonly reason: string },
  ) => Promise<void>;
  /** Sweeps a project soon. */
  readonly wake: (projectId: string) => void;
};
