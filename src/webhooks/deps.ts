import type { Actor } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database } from "../foundation/db.ts";
import type { SecretBox } from "../foundation/secret-box.ts";
import type { WebhookTables } from "./tables.ts";

export type TriggerPush = {
  /** The project's name. */
  readonly project: string;
  readonly environment: "production" | "staging";
  readonly branch: string;
  readonly commit: string;
  readonly message: string | undefined;
  readonly source: { readonly git: string };
  /** `github:<project id>:<delivery>`: the same key finds the first deployment again, also when two ask at once. */
  readonly deliveryKey: string;
};

export type WebhookDeps = {
  readonly db: Database<WebhookTables>;
  readonly clock: Clock;
  readonly box: SecretBox;
  /** Queues a deployment and answers its id. */
  readonly trigger: (actor: Actor, input: TriggerPush) => Promise<string>;
  /** Sweeps the project's previews soon. */
  readonly wake: (projectId: string) => void;
};
