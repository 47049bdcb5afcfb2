import { setTimeout as sleep } from "node:timers/promises";
import { assertLive, type Deployment, type Environment } from "../../bench/support/api.ts";
import { type CommandResult, type Instance, signalbox } from "../../bench/support/instance.ts";
import type { Repository } from "./repository.ts";
import type { Story } from "./story.ts";

export const PROJECT = "storefront";

type Shipping = {
  /** The deployment as soon as the control plane has accepted it. */
  readonly accepted: Promise<Deployment>;
  readonly command: Promise<CommandResult>;
};

/** Runs `signalbox deploy` in the repository, showing what it prints. */
export async function ship(
  { instance, repository, story }: { instance: Instance; repository: Repository; story: Story },
  environment: Environment,
  flags: readonly string[] = [],
): Promise<Shipping> {
  const known = new Set((await instance.api.list("limit=100").catch(() => [])).map(({ id }) => id));
  const args = ["deploy", ".", "--env", environment, ...flags];
  story.command(`npx signalbox ${args.join(" ")}`);
  const command = signalbox(args, {
    environment: instance.environment,
    cwd: repository.directory,
    onLine: (line) => line.trim() !== "" && story.quote(line),
  });
  return { accepted: firstUnknown(instance, known, command), command };
}

/** Ships and waits until it serves. Throws with the deployment's own reason when it does not get there. */
export async function shipUntilLive(...args: Parameters<typeof ship>): Promise<Deployment> {
  const { accepted, command } = await ship(...args);
  const { id } = await accepted;
  const deployment = assertLive(await args[0].instance.api.waitFor(id));
  await command;
  return deployment;
}

/** Runs any command of the CLI, showing it and, unless told not to, what it prints. */
export function runCli(
  { instance, repository, story }: { instance: Instance; repository: Repository; story: Story },
  args: readonly string[],
  { quote } = { quote: true },
): Promise<CommandResult> {
  story.command(`npx signalbox ${args.map((arg) => (arg.includes(" ") ? `'${arg}'` : arg)).join(" ")}`);
  return signalbox(args, {
    environment: instance.environment,
    cwd: repository.directory,
    onLine: (line) => quote && line.trim() !== "" && story.quote(line),
  });
}

async function firstUnknown(
  { api }: Instance,
  known: ReadonlySet<string>,
  command: Promise<CommandResult>,
): Promise<Deployment> {
  let ended: CommandResult | null = null;
  void command.then((result) => {
    ended = result;
  });
  for (;;) {
    const commandHadEnded = ended;
    // Before the first deploy there is no project to list.
    const deployments = await api.list("limit=20").catch(() => []);
    const found = deployments.find(({ id }) => !known.has(id));
    if (found) return found;
    if (commandHadEnded !== null)
      throw new Error("signalbox deploy ended without a deployment; see its lines above.");
    await sleep(50);
  }
}

/** Milliseconds from the trigger's acceptance to traffic, by the control plane's own record. */
export function timeToLive(deployment: Deployment): number {
  const live = deployment.phases.find(({ state }) => state === "live");
  if (!live)
    throw new Error(`Deployment ${deployment.id} has no "live" phase: ${JSON.stringify(deployment.phases)}`);
  return Date.parse(live.at) - Date.parse(deployment.createdAt);
}

/** Milliseconds from the trigger's acceptance to the first command of the build. */
export async function timeToBuild({ api }: Instance, deployment: Deployment): Promise<number> {
  const { logs } = await api.status(deployment.id);
  const command = logs.find(({ stream }) => stream === "command");
  if (!command) throw new Error(`The build of ${deployment.id} logged no command.`);
  return Date.parse(command.at) - Date.parse(deployment.createdAt);
}
