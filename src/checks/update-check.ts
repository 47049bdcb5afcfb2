import { type Actor, audit, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { notify } from "../foundation/notify.ts";
import { CHECKS_CHANNEL } from "./channels.ts";
import type { CheckDeps } from "./check-deps.ts";
import { type GivenCheck, judgeGiven } from "./given-check.ts";
import { type CheckOverview, requireCheck } from "./read-overview.ts";
import { changeCheck } from "./write-checks.ts";

/**
 * Gives a check that was made by hand other settings and another policy, whole (deployer). Its history goes on.
 * @throws AppError `forbidden`, `not_found`, `bad_request`; `conflict`: it follows a configuration.
 */
export async function updateCheck(
  deps: CheckDeps,
  actor: Actor,
  id: string,
  given: Omit<GivenCheck, "type">,
): Promise<void> {
  requireRole(actor, "deployer");
  const at = deps.clock.now();
  const check = await requireCheck(deps.db, id, at);
  requireByHand(check);
  const judged = await judgeGiven(deps, actor, check, { ...given, type: check.type });
  await deps.db.transaction().execute(async (tx) => {
    await changeCheck({ ...deps, tx }, id, { ...judged, type: check.type, source: "api" }, at);
    const details = { name: check.name, subject: judged.subject, policy: judged.policy };
    await audit(tx, { actor, action: "check.update", subject: { type: "check", id }, details, at });
    await notify(tx, CHECKS_CHANNEL, "");
  });
}

/** @throws AppError `conflict` */
export function requireByHand({ name, source }: Pick<CheckOverview, "name" | "source">): void {
  if (source === "api") return;
  throw new AppError(
    "conflict",
    `The check "${name}" follows what is deployed, and would be as it was at once.`,
    {
      hint: `Change it in signalbox.yaml: \`checks: { ${name}: … }\`, or \`${name}: false\` for none.`,
    },
  );
}
