import { type Actor, requireRole } from "../access/index.ts";
import { AppError, messageOf } from "../foundation/errors.ts";
import { isFrozen, judgeGate, judgeStart } from "../gates/index.ts";
import { describeStrategy } from "../rollouts/index.ts";
import { type Abilities, type Downtime, judgeDowntime, type PlannedService, spanText } from "./downtime.ts";
import type { EngineDeps } from "./engine.ts";
import { NO_PLANNING, type PlanPorts, type SchemaOutlook } from "./plan-deployment-ports.ts";
import { type PlannedStep, plannedSteps } from "./plan-deployment-steps.ts";
import type { Preparation, PrepareInput, Source } from "./plan-source.ts";
import { findProject } from "./project.ts";
import { type Deployment, placeOf, slotOf } from "./record.ts";
import { planServices } from "./services.ts";
import { isActive } from "./state.ts";
import type { TriggerInput } from "./trigger.ts";

/** As a trigger; nothing of it is deployed. */
export type PlanInput = Pick<
  TriggerInput,
  "environment" | "project" | "branch" | "pullRequest" | "commit" | "message" | "dirty" | "source" | "force"
>;

type PlanDeps = Pick<
  EngineDeps,
  | "ledger"
  | "clock"
  | "ids"
  | "target"
  | "requireSource"
  | "prepare"
  | "readGate"
  | "schemaBarrier"
  | "within"
> & { readonly planning?: PlanPorts };

/** A git source may have to be fetched. */
const LIMIT_MS = 120_000;

/**
 * What a trigger with the same input would do now. Builds nothing, gives nobody traffic and writes no deployment; as
 * `prepare` does, it makes sure that the target has the project and, of a git source, the files.
 * @throws AppError as a trigger and its `preparing`.
 */
export async function planDeployment(deps: PlanDeps, actor: Actor, input: PlanInput, signal: AbortSignal) {
  requireRole(actor, "viewer");
  const { environment } = input;
  if (input.pullRequest !== undefined && environment !== "preview") {
    throw new AppError("bad_request", `A pull request has previews; none is deployed to ${environment}.`, {
      hint: 'Send "environment": "preview", or leave "pullRequest" out.',
    });
  }
  const limit = deps.within(signal, LIMIT_MS);
  const project = await findProject(deps.ledger, input.project);
  const source = input.source ?? (await earlierSource(deps, project.id, input));
  await deps.requireSource(project.id, source);
  const asked: PrepareInput = {
    deploymentId: deps.ids("plan"),
    project: project.name,
    environment,
    source,
    branch: input.branch ?? null,
    pullRequest: input.pullRequest ?? null,
    commit: { sha: input.commit ?? null, message: input.message ?? null, dirty: input.dirty ?? false },
  };
  const place = slotOf(environment, asked.branch, asked.pullRequest);
  const [preparation, rows] = await Promise.all([
    deps.prepare(asked, limit),
    deps.ledger.place(project.id, place),
  ]);
  const live = rows.find(({ state }) => state === "live") ?? null;
  const [schema, gate, barrierTo] = await Promise.all([
    readSchema(deps, { ...asked, projectId: project.id }, preparation, limit),
    gateNow(deps, asked, project.id, preparation),
    deps.schemaBarrier({ projectId: project.id, slot: place }),
  ]);
  const [services, abilities] = await Promise.all([
    servicesOf(deps, asked, preparation, { live, force: input.force ?? false }, limit),
    readAbilities(deps, asked, preparation, limit),
  ]);
  const downtime = downtimeOf(asked, preparation, services, schema, abilities);
  const queue = queueOf(rows, asked.branch);
  const { plan, commit } = preparation;
  const strategy = describeStrategy(plan.strategy);
  const steps = plannedSteps({ environment, services, plan, schema, gate, queue, strategy });
  const { warnings: found, ...expected } = downtime;
  return {
    project: project.name,
    environment,
    place,
    commit,
    services: services.map(({ kind: _, ...service }) => service),
    steps: steps satisfies readonly PlannedStep[],
    migrations: { expand: schema.expand, contract: schema.contract },
    gate,
    strategy,
    downtime: expected,
    warnings: [...gateWarnings(gate, commit), ...schema.warnings, ...found],
    rollback: {
      to: live?.id ?? null,
      barrier: live && (barrierTo(live.plan?.schema?.contract ?? [])?.name ?? null),
      window: spanText(plan.rollbackWindowMs),
      windowMs: plan.rollbackWindowMs,
    },
    queue,
  };
}

/** As a trigger without a source: where the newest deployment of that branch and commit came from. */
async function earlierSource({ ledger }: PlanDeps, projectId: string, input: PlanInput): Promise<Source> {
  const rows = await ledger.sources(projectId, input.branch);
  const { commit } = input;
  const found = rows.find(
    (row) => "git" in row.source || commit === undefined || row.commit?.startsWith(commit) === true,
  );
  if (found) return found.source;
  throw new AppError("bad_request", "There is no source to plan with: nothing like it was deployed before.", {
    hint: 'Send "source": {"git": "<url>"}, or upload a tree and send "source": {"tree": "<digest>"}.',
  });
}

async function servicesOf(
  { target }: PlanDeps,
  asked: PrepareInput,
  preparation: Preparation,
  { live, force }: { readonly live: Deployment | null; readonly force: boolean },
  signal: AbortSignal,
) {
  const { branch, pullRequest, environment } = asked;
  // As `preparing`: a preview keeps the branch that was asked for.
  const known = environment === "preview" ? branch : (branch ?? preparation.branch);
  const planned = planServices(preparation.services, live, force).map(async (service) => {
    const serving = live?.services.find(({ name }) => name === service.name);
    const change: PlannedService["change"] = service.unchanged ? "unchanged" : serving ? "changed" : "new";
    const hosts = await target.domains(placeOf({ environment, branch: known, pullRequest }, service), signal);
    return {
      name: service.name,
      change,
      targetProject: service.targetProject,
      hosts: hosts.map((host) => target.publicUrl(host)),
      checks: service.health.checks,
      minHealthyMs: service.health.minHealthyMs,
      kind: serving?.kind ?? null,
    };
  });
  return Promise.all(planned);
}

/** What cannot be asked now is not known: the deployment will meet it. Only asked where it makes a difference. */
async function readAbilities(
  { target }: PlanDeps,
  { environment, branch, pullRequest }: PrepareInput,
  { services, plan }: Preparation,
  signal: AbortSignal,
): Promise<Abilities> {
  const main = services.at(-1);
  const matters = plan.strategy.kind === "canary" || plan.schema?.hold;
  if (!main || !matters) return { split: "unknown", hold: false };
  const place = placeOf({ environment, branch, pullRequest }, main);
  return target.abilities(place, signal).catch(() => ({ split: "unknown" as const, hold: false }));
}

async function readSchema(
  deps: PlanDeps,
  input: PrepareInput & { readonly projectId: string },
  preparation: Preparation,
  signal: AbortSignal,
): Promise<SchemaOutlook> {
  if (!preparation.plan.schema) return { expand: null, contract: null, locking: [], warnings: [] };
  try {
    return await (deps.planning ?? NO_PLANNING).readSchema(input, preparation, signal);
  } catch (error) {
    // The rest of the plan is worth telling, and a deployment would say the same when it migrates.
    const why = `The database could not be asked what it has: ${messageOf(error)}`;
    return { expand: null, contract: null, locking: [], warnings: [why] };
  }
}

async function gateNow(
  deps: PlanDeps,
  { deploymentId, environment }: PrepareInput,
  projectId: string,
  { plan }: Preparation,
) {
  const facts = await deps.readGate({ id: deploymentId, projectId, environment });
  const now = deps.clock.now();
  // Nobody can have approved it yet, so whose it is and what its digest will be make no difference.
  const nobody = { id: null, name: "" };
  const verdict = judgeGate({ policy: plan.gate, digest: "", requestedBy: nobody, askedAt: now, facts, now });
  return {
    waitsFor: verdict.is === "waits" ? verdict.reason : null,
    startsNow: judgeStart({ facts, now }).is === "open",
    approvals: plan.gate.approvals,
    waitMs: plan.gate.waitMs,
    locks: facts.locks.map(({ id, ownerName: owner, reason, expiresAt }) => ({
      id,
      owner,
      reason,
      expiresAt: expiresAt?.toISOString() ?? null,
    })),
    freezes: facts.freezes.flatMap((freeze) => {
      const until = isFrozen(freeze, now);
      return until === null ? [] : [{ id: freeze.id, name: freeze.name, until: until.toISOString() }];
    }),
  };
}

export type PlannedGate = Awaited<ReturnType<typeof gateNow>>;

function gateWarnings({ locks, freezes }: PlannedGate, { dirty }: Preparation["commit"]): string[] {
  return [
    ...locks.map(({ owner, reason }) => `It does not begin while ${owner}'s lock holds ("${reason}").`),
    ...freezes.map(({ name, until }) => `The freeze "${name}" holds it back until ${until}.`),
    ...(dirty ? ["Its files differ from the commit that it is called by."] : []),
  ];
}

function downtimeOf(
  { environment }: PrepareInput,
  { plan }: Preparation,
  services: readonly PlannedService[],
  schema: SchemaOutlook,
  abilities: Abilities,
): Downtime {
  const { strategy, rollbackWindowMs } = plan;
  return judgeDowntime({
    environment,
    services,
    strategy,
    schema: plan.schema,
    pending: schema.expand?.pending ?? null,
    locking: schema.locking,
    rollbackWindowMs,
    // When the database cannot be asked, whatever the commit has may be to come.
    pendingContract: schema.contract?.pending ?? plan.schema?.contract ?? [],
    abilities,
  });
}

/** Newest wins: those of the same branch that wait give way, whoever else is there goes first. */
function queueOf(rows: readonly Deployment[], branch: string | null) {
  const queued = rows.filter(({ state }) => state === "queued");
  const supersedes = queued.filter((each) => each.branch === branch);
  const active = rows.filter(({ state }) => isActive(state));
  return {
    ahead: active.length + queued.length - supersedes.length,
    supersedes: supersedes.map(({ id }) => id),
  };
}
