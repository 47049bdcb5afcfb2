import { audit, systemActor } from "../access/index.ts";
import { messageOf } from "../foundation/errors.ts";
import { compare, type OutsideEvent, type Seen } from "./compare.ts";
import type { OutsideDeps } from "./deps.ts";
import { judgeOthers } from "./judge-others.ts";
import { claimWatch, deploymentOf, oursNow, type Watched } from "./queries.ts";

const ACTOR = systemActor("vercel");

/** `again`: something is under way there that should be looked at soon. */
export type Looked = { readonly events: readonly OutsideEvent[]; readonly again: boolean };

/**
 * Looks at one project at the target, and writes down what has changed there without us: the events, their audit
 * entries and what was seen, in one transaction. Null: another looks at it now, perhaps from before what woke us.
 */
export async function look(deps: OutsideDeps, watched: Watched, signal: AbortSignal): Promise<Looked | null> {
  const claim = await claimWatch(deps.db, watched, deps.clock.now());
  if (claim === null) return null;
  try {
    const { outside } = deps.target;
    // What cannot be put back is told, and hides nothing of what others do.
    const untidy = await outside.tidyUp(watched.place, signal).then(() => null, messageOf);
    signal.throwIfAborted();
    // Ours is read before and after: a move of ours that begins meanwhile is no surprise.
    const { projectId, place } = watched;
    const before = await oursNow(deps.db, projectId, place.targetProjectId);
    const state = await outside.inspect(place, signal);
    const after = await oursNow(deps.db, projectId, place.targetProjectId);
    const ours = {
      expected: new Set([...before.expected, ...after.expected]),
      moving: before.moving || after.moving,
    };
    const { seen, events } = compare(claim.seen, state, ours);
    const judged = await judgeOthers(deps, watched, { seen, state }, signal);
    const failure = untidy ?? judged.problem;
    await write(deps, watched, claim.until, { seen: judged.seen, events, failure });
    return { events, again: failure === null && Object.keys(judged.seen.judging).length > 0 };
  } catch (error) {
    await fail(deps, watched, claim.until, error);
    throw error;
  }
}

async function write(
  { db, clock }: OutsideDeps,
  { projectId, place }: Watched,
  until: Date,
  found: { readonly seen: Seen; readonly events: readonly OutsideEvent[]; readonly failure: string | null },
): Promise<void> {
  const at = clock.now();
  const { targetProjectId } = place;
  await db.transaction().execute(async (tx) => {
    const kept = await tx
      .updateTable("outside_watches")
      .set((eb) => ({
        seen: JSON.stringify(found.seen),
        looked_at: at,
        failing_since: found.failure === null ? null : eb.fn.coalesce("failing_since", eb.val(at)),
        failure: found.failure,
        claimed_until: null,
      }))
      .where("target_project_id", "=", targetProjectId)
      .where("claimed_until", "=", until)
      .returning("target_project_id")
      .executeTakeFirst();
    // Somebody else has looked since: what we saw is old.
    if (!kept) return;
    for (const { kind, key, targetDeploymentId, summary, details } of found.events) {
      const made = await tx
        .insertInto("outside_events")
        .values({
          project_id: projectId,
          target_project_id: targetProjectId,
          key,
          at,
          kind,
          target_deployment_id: targetDeploymentId,
          deployment_id: await deploymentOf(tx, projectId, targetDeploymentId),
          summary,
          details: JSON.stringify(details),
        })
        .onConflict((conflict) => conflict.columns(["target_project_id", "key"]).doNothing())
        .returning("id")
        .executeTakeFirst();
      if (!made) continue;
      const subject = { type: "project", id: projectId };
      await audit(tx, {
        actor: ACTOR,
        action: `outside.${kind}`,
        subject,
        at,
        details: { summary, ...details },
      });
    }
  });
}

async function fail(
  { db, clock, log }: OutsideDeps,
  { project, place }: Watched,
  until: Date,
  error: unknown,
): Promise<void> {
  const failure = messageOf(error);
  log.debug({ project, reason: failure }, "a project could not be looked at");
  await db
    .updateTable("outside_watches")
    .set((eb) => ({
      failure,
      failing_since: eb.fn.coalesce("failing_since", eb.val(clock.now())),
      claimed_until: null,
    }))
    .where("target_project_id", "=", place.targetProjectId)
    .where("claimed_until", "=", until)
    .execute();
}
