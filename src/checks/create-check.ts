import { type Actor, audit, requireRole } from "../access/index.ts";
import { PG } from "../foundation/db.ts";
import { AppError, errorCodeOf } from "../foundation/errors.ts";
import { notify } from "../foundation/notify.ts";
import { CHECKS_CHANNEL } from "./channels.ts";
import type { CheckDeps } from "./check-deps.ts";
import { type GivenCheck, judgeGiven } from "./given-check.ts";
import { holdChecks } from "./sync-queries.ts";
import { insertCheck } from "./write-checks.ts";

export type CreateCheck = GivenCheck & {
  readonly project: string;
  readonly environment: string;
  readonly name: string;
};

/**
 * Makes a check by hand (deployer; an owner where it runs on the prober's own machine). It stays whatever is deployed.
 * @throws AppError `forbidden`, `not_found`, `bad_request`; `conflict`: there is one of that name.
 */
export async function createCheck(
  deps: CheckDeps,
  actor: Actor,
  input: CreateCheck,
): Promise<{ id: string }> {
  requireRole(actor, "deployer");
  const projectId = await deps.projectIdOf(input.project);
  const { environment, name, type } = input;
  const judged = await judgeGiven(deps, actor, { projectId, environment, name }, input);
  const at = deps.clock.now();
  try {
    return await deps.db.transaction().execute(async (tx) => {
      await holdChecks(tx, projectId);
      const row = {
        ...judged,
        projectId,
        environment,
        name,
        type,
        source: "api" as const,
        deploymentId: null,
      };
      const id = await insertCheck({ ...deps, tx }, row, at);
      const details = { projectId, environment, name, type, subject: judged.subject };
      await audit(tx, { actor, action: "check.create", subject: { type: "check", id }, details, at });
      await notify(tx, CHECKS_CHANNEL, "");
      return { id };
    });
  } catch (error) {
    if (errorCodeOf(error) !== PG.uniqueViolation) throw error;
    throw new AppError("conflict", `${input.project} has a check "${name}" in ${environment} already.`, {
      hint: "Choose another name, or change that one: PUT /api/checks/{id} where it was made by hand.",
      cause: error,
    });
  }
}
