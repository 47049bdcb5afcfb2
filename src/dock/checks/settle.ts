import { sql } from "kysely";
import { AppError, messageOf } from "../../foundation/errors.ts";
import type { Deployment } from "../deployments/queries.ts";
import type { Dock } from "../dock.ts";
import { automaticHost, dueAliases } from "../pointers/automatic-hosts.ts";
import { VercelError } from "../vercel-error.ts";
import { type Gate, gateOf, HOLDS_ALIAS, HOLDS_PROMOTION } from "./gate.ts";
import { runsOf } from "./queries.ts";

/**
 * What the checks of a READY deployment decide: its automatic aliases are given, kept back, or refused. Called after
 * everything that may change that; again, and nothing happens. Aliases that were given are not taken away.
 */
export async function settleChecks(dock: Dock, deploymentId: string): Promise<void> {
  const row = await dock.db
    .selectFrom("deployments")
    .selectAll()
    .where("id", "=", deploymentId)
    .executeTakeFirst();
  if (row?.state !== "READY" || row.checks_state === null || row.checks_state === "succeeded") return;
  const gate = gateOf(await runsOf(dock.db, deploymentId), HOLDS_ALIAS);
  if (gate.state === "failed") return fail(dock, row, gate);
  if (gate.state !== "pending") return pass(dock, row);
  await dock.db
    .updateTable("deployments")
    .set({ checks_state: "pending", checks_completed_at: null, alias_error: null })
    .where("id", "=", deploymentId)
    .where("checks_state", "=", "failed")
    .execute();
}

async function fail(dock: Dock, row: Deployment, gate: Extract<Gate, { state: "failed" }>): Promise<void> {
  const message = `The check ${gate.names.map((name) => `"${name}"`).join(", ")} did not succeed.`;
  await dock.db.transaction().execute(async (tx) => {
    const changed = await tx
      .updateTable("deployments")
      .set({
        checks_state: "failed",
        checks_completed_at: dock.clock.now(),
        alias_error: sql`${JSON.stringify({ code: "checks_failed", message })}::jsonb`,
      })
      .where("id", "=", row.id)
      .where("checks_state", "=", "pending")
      .executeTakeFirst();
    if (changed.numUpdatedRows === 0n) return;
    const about = { projectId: row.project_id, deploymentId: row.id, more: { checks: gate.names } };
    await dock.hooks.emit(tx, "deployment.checks.failed", about);
  });
}

async function pass(dock: Dock, row: Deployment): Promise<void> {
  const host = await automaticHost(dock, row);
  await dock.keeper.withUp([row.id], async () => {
    const generation = await dock.traffic.change((state) => {
      if (!state.releases.has(row.id)) throw new AppError("canceled", `The deployment ${row.id} is gone.`);
      const aliases = dueAliases(state, row, host);
      const promoted = aliases.some((alias) => alias.kind === "production");
      const now = dock.clock.now();
      return {
        setAliases: aliases,
        ...(promoted ? { setPromoted: { deploymentId: row.id, at: now } } : {}),
        write: async (tx, generation) => {
          await tx
            .updateTable("deployments")
            .set({
              checks_state: "succeeded",
              checks_completed_at: now,
              alias_error: null,
              alias_generation: generation,
              aliases: aliases.map((alias) => alias.host),
            })
            .where("id", "=", row.id)
            .execute();
          const about = { projectId: row.project_id, deploymentId: row.id };
          await dock.hooks.emit(tx, "deployment.checks.succeeded", about);
          await dock.hooks.emit(tx, "deployment.succeeded", about);
          if (promoted) await dock.hooks.emit(tx, "deployment.promoted", about);
        },
      };
    });
    await dock.publisher.served(generation).catch((error) => {
      dock.log.warn(
        { deploymentId: row.id, reason: messageOf(error) },
        "aliased, and not served by the gateway yet",
      );
    });
  });
  dock.keeper.sweep();
}

/** @throws VercelError `conflict` while a check that blocks promotions has not succeeded. */
export async function refuseUnchecked(dock: Dock, deploymentId: string): Promise<void> {
  const gate = gateOf(await runsOf(dock.db, deploymentId), HOLDS_PROMOTION);
  if (gate.state === "none" || gate.state === "succeeded") return;
  const why = gate.state === "failed" ? `${gate.names.join(", ")} failed` : "they are not completed";
  throw new VercelError(
    "conflict",
    gate.state === "failed" ? "checks_failed" : "checks_pending",
    `Checks block the promotion of ${deploymentId}: ${why}.`,
    { hint: "Complete their runs with success, or delete the check." },
  );
}

/** Ends the runs whose time is over. @returns when the next one's is. */
export async function expireRuns(dock: Dock): Promise<Date | null> {
  const now = dock.clock.now();
  const late = await dock.db
    .updateTable("check_runs")
    .set({ status: "completed", conclusion: "timeout", completed_at: now, updated_at: now })
    .where("status", "!=", "completed")
    .where("deadline", "<=", now)
    .returning("deployment_id")
    .execute();
  for (const id of new Set(late.map((run) => run.deployment_id))) await settleChecks(dock, id);
  const next = await dock.db
    .selectFrom("check_runs")
    .select((eb) => eb.fn.min("deadline").as("deadline"))
    .where("status", "!=", "completed")
    .where("deadline", "is not", null)
    .executeTakeFirst();
  return next?.deadline ?? null;
}
