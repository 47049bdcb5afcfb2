import type { Actor } from "../access/index.ts";
import type { Clock } from "../foundation/clock.ts";
import type { Database, Tx } from "../foundation/db.ts";
import { AppError } from "../foundation/errors.ts";
import type { Ids } from "../foundation/ids.ts";
import type { EnvironmentName } from "../targets/target.ts";
import type { GatePolicy, Requester } from "./facts.ts";
import type { Scope } from "./queries.ts";
import type { GateTables } from "./tables.ts";

/** A deployment as its gate sees it. */
export type GateSubject = {
  readonly projectId: string;
  readonly environment: EnvironmentName;
  readonly state: string;
  /** Of what would take traffic now. Null: nothing to approve yet. */
  readonly digest: string | null;
  readonly requestedBy: Requester;
  /** Null: not known yet, or it asks for nothing. */
  readonly policy: GatePolicy | null;
  /** When it began to wait for its gate; null: not yet. */
  readonly askedAt: Date | null;
};

export type GateDeps = {
  readonly db: Database<GateTables>;
  readonly clock: Clock;
  readonly ids: Ids;
  /** Null: there is no such deployment. */
  readonly readSubject: (tx: Tx<GateTables>, deploymentId: string) => Promise<GateSubject | null>;
  /** Makes deployments look at their gate again, once `tx` has been committed. */
  readonly wake: (tx: Tx<GateTables>, where: { readonly deploymentId: string } | Scope) => Promise<void>;
  /** @throws AppError `not_found`. */
  readonly projectIdOf: (name: string) => Promise<string>;
};

/** @throws AppError `not_found`. */
export async function requireSubject(
  deps: Pick<GateDeps, "readSubject">,
  tx: Tx<GateTables>,
  deploymentId: string,
): Promise<GateSubject> {
  const subject = await deps.readSubject(tx, deploymentId);
  if (subject) return subject;
  throw new AppError("not_found", `There is no deployment ${deploymentId}.`, {
    hint: "GET /api/deploy/list lists them.",
  });
}

export function requesterOf(actor: Actor): Requester {
  return { id: actor.id, name: actor.name };
}
