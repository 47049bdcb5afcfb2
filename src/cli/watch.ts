import { type Arguments, usageError } from "./arguments.ts";
import { type Deployment, isFailed, wasLive } from "./client/deployment.ts";
import { followDeployment } from "./client/follow.ts";
import type { Context } from "./context.ts";
import { EXIT } from "./exit-code.ts";
import type { Progress } from "./terminal/progress.ts";
import { waitingFor } from "./terminal/waiting.ts";

/** Whether a person's word is waited for: with --wait, and at a terminal, where there is a person. */
export function waitsWithPeople({ io }: Pick<Context, "io">, args: Arguments): boolean {
  if (args.flag("wait") && args.flag("no-wait")) {
    throw usageError("--wait and --no-wait contradict one another.", "Give one of them.");
  }
  return args.flag("wait") || (io.isTTY && !args.flag("no-wait"));
}

/** Thrown into our own following, to end it. */
class WaitsForPerson extends Error {
  readonly deployment: Deployment;
  constructor(deployment: Deployment) {
    super("the deployment waits for a person");
    this.deployment = deployment;
  }
}

/** Follows a deployment on the screen until it is settled; with `leave` until it waits for a person as well. */
export async function watchDeployment(
  context: Context,
  progress: Progress,
  id: string,
  { signal: outer, leave }: { readonly signal: AbortSignal; readonly leave: boolean },
): Promise<Deployment> {
  const left = new AbortController();
  const signal = AbortSignal.any([outer, left.signal]);
  try {
    return await followDeployment(
      { api: context.api(), clock: context.clock, id, signal },
      {
        deployment(deployment) {
          progress.deployment(deployment);
          if (leave && waitingFor(deployment) !== null) left.abort(new WaitsForPerson(deployment));
        },
        log: (line) => progress.log(line),
        lost: (error) =>
          progress.note(
            `${context.paint.yellow("!")} ${error.message} Trying again; the deployment goes on.`,
          ),
      },
    );
  } catch (error) {
    if (error instanceof WaitsForPerson) return error.deployment;
    throw error;
  } finally {
    progress.stop();
  }
}

/** The last lines of a deployment that is left waiting: what it waits for was told, now how to come back. */
export function tellWaiting({ paint, note }: Context, { id }: Deployment): void {
  note(`${paint.yellow("!")} Not waiting for it (exit code ${EXIT.waiting}); it goes on once somebody came.`);
  note(`  watch it:   ${paint.cyan(`signalbox status ${id} --watch`)}`);
}

/** The last line of a followed deployment, on stderr: the verdict, why, and where it broke. */
export function tellVerdict(
  context: Context,
  progress: Pick<Progress, "tail">,
  deployment: Deployment,
  durationMs: string,
): void {
  const { paint, note } = context;
  const { id, state, project, environment } = deployment;
  if (wasLive(deployment) && !isFailed(state)) {
    note(`${paint.green("✓")} ${paint.bold(project)} is live in ${environment}  ${paint.dim(durationMs)}`);
    return;
  }
  const tail = brokeInBuild(deployment) ? progress.tail() : [];
  if (tail.length > 0) note(`\n${tail.map((line) => paint.dim(`  │ ${line}`)).join("\n")}\n`);
  note(`${paint.red("✗")} ${verdict(deployment)}`);
  if (deployment.hint !== null) note(`  ${paint.cyan("→")} ${deployment.hint}`);
  note(`  ${paint.dim(`Whole log: signalbox logs ${id}`)}`);
}

/** 0 when it serves or served; 5 when a newer one overtook it; 1 otherwise. */
export function outcomeCode(deployment: Deployment): number {
  if (isFailed(deployment.state)) return EXIT.failed;
  if (wasLive(deployment)) return EXIT.ok;
  return deployment.state === "superseded" ? EXIT.conflict : EXIT.failed;
}

function verdict({ id, state, project, environment, reason }: Deployment): string {
  const because = reason === null || reason === "" ? "" : `: ${reason.replace(/[.\s]+$/, "")}`;
  const what = `The deployment ${id} of ${project} to ${environment}`;
  if (state === "superseded") return `${what} was overtaken by a newer one${because}.`;
  if (state === "rolled_back")
    return `${what} was rolled back${because}. The release before it serves again.`;
  const ended =
    { failed: "failed", canceled: "was canceled", rejected: "was rejected" }[state] ?? `ended as ${state}`;
  return `${what} ${ended}${because}. What served before still serves.`;
}

/** Only a build's own words help to understand a failed build. */
function brokeInBuild(deployment: Deployment): boolean {
  const last = deployment.phases.findLast((phase) => !isFailed(phase.state));
  return (
    deployment.state === "failed" &&
    (last === undefined || ["preparing", "building", "verifying"].includes(last.state))
  );
}
