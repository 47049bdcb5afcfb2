import { type Actor, requireRole } from "../access/index.ts";
import { AppError } from "../foundation/errors.ts";
import { readSecrets } from "../settings/index.ts";
import type { CheckDeps } from "./check-deps.ts";
import { isLocal, settingsIssues, subjectOf } from "./check-rules.ts";
import type { Policy, ProbeType } from "./model.ts";
import { completePolicy, timeoutProblem } from "./policy.ts";
import { referencesIn, resolveSettings } from "./references.ts";

/** A check as somebody gives it by the API. */
export type GivenCheck = {
  readonly type: ProbeType;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly policy: Parameters<typeof completePolicy>[0];
};

export type JudgedCheck = { readonly settings: unknown; readonly policy: Policy; readonly subject: string };

/**
 * What is kept of it. @throws AppError `forbidden`: it would run on the prober's own machine, and that is an owner's to
 * ask for; `bad_request` with all that is wrong at once.
 */
export async function judgeGiven(
  deps: CheckDeps,
  actor: Actor,
  place: { readonly projectId: string; readonly environment: string; readonly name: string },
  given: GivenCheck,
): Promise<JudgedCheck> {
  const { type, settings } = given;
  requireRole(actor, "deployer");
  if (isLocal(deps.checkRules, type)) requireRole(actor, "owner");
  const policy = completePolicy(given.policy);
  const problems = settingsIssues(deps.checkRules, type, settings).map(({ path, message }) => ({
    path: ["settings", ...path.map(String)].join("."),
    message,
  }));
  const timing = timeoutProblem(policy);
  if (timing !== null) problems.push({ path: "timeoutMs", message: timing });
  if (referencesIn(settings).variables.length > 0)
    problems.push({
      path: "settings",
      message: "only a check in signalbox.yaml has variables; use a secret",
    });
  if (policy.dependsOn.includes(place.name))
    problems.push({ path: "dependsOn", message: "it depends on itself" });
  problems.push(...(await unknownParents(deps, place, policy.dependsOn)));
  if (problems.length > 0) {
    const told = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
    throw new AppError("bad_request", `The check is not valid: ${told}.`, {
      hint: `docs/health/${type}.md has every setting of the type ${type}.`,
      details: problems,
    });
  }
  const find = await readSecrets(deps, [place.projectId]);
  const resolved = resolveSettings(settings, (name) => find(place, name));
  return { settings, policy, subject: subjectOf(deps.checkRules, type, resolved) ?? type };
}

async function unknownParents(
  { db }: CheckDeps,
  { projectId, environment }: { readonly projectId: string; readonly environment: string },
  parents: readonly string[],
): Promise<{ path: string; message: string }[]> {
  if (parents.length === 0) return [];
  const rows = await db
    .selectFrom("checks")
    .select("name")
    .where("project_id", "=", projectId)
    .where("environment", "=", environment)
    .where("retired_at", "is", null)
    .execute();
  const names = new Set(rows.map(({ name }) => name));
  return parents
    .filter((parent) => !names.has(parent))
    .map((parent) => ({ path: "dependsOn", message: `there is no check "${parent}" in ${environment}` }));
}
