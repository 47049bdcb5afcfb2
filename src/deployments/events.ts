import { sql } from "kysely";
import { CHANGED_CHANNEL, WAKE_CHANNEL } from "./channels.ts";
import type { State } from "./state.ts";
import type { Tx } from "./tables.ts";

export type DeploymentEvent = {
  readonly deploymentId: string;
  readonly at: Date;
  /** Null: it was made. */
  readonly from: State | null;
  /** The same as `from` when only the weight changed. */
  readonly to: State;
  readonly weight: number | null;
  readonly reason: string | null;
  readonly actor: string;
  readonly leaseToken: number;
};

/**
 * Writes an event and says so to whoever watches the deployment, and with `wake` to whoever works on it. One
 * statement, because a rollback is waited for and each round trip counts.
 */
export async function writeEvent(tx: Tx, event: DeploymentEvent, wake = false): Promise<void> {
  const channels = wake ? [CHANGED_CHANNEL, WAKE_CHANNEL] : [CHANGED_CHANNEL];
  await sql`
    with written as (
      insert into deployment_events
        (deployment_id, at, from_state, to_state, weight, reason, actor_name, lease_token)
      values (${event.deploymentId}, ${event.at}, ${event.from}, ${event.to}, ${event.weight}, ${event.reason},
        ${event.actor}, ${event.leaseToken})
      returning deployment_id
    )
    select pg_notify(channel, deployment_id) from written, unnest(${channels}::text[]) as channel`.execute(
    tx,
  );
}
