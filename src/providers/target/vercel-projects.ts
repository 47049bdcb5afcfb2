import { environmentCreateCustomEnvironment } from "@vercel/sdk/funcs/environmentCreateCustomEnvironment.js";
import * as customEnvironments from "@vercel/sdk/funcs/environmentGetProjectsByIdOrNameCustomEnvironments.js";
import { projectsCreateProject } from "@vercel/sdk/funcs/projectsCreateProject.js";
import { projectsGetProject } from "@vercel/sdk/funcs/projectsGetProject.js";
import { AppError } from "../../foundation/errors.ts";
import type { PlatformSettings } from "../../targets/target.ts";
import { CreatedAnswer, EnvironmentsAnswer, ProjectAnswer } from "./vercel-answers.ts";
import { ensureCheck } from "./vercel-checks.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { readAnswer, unlessStatus } from "./vercel-failures.ts";

export const STAGING = "staging";

/** Finds or makes the project and its custom environment, by default `staging`, and the check where it is wanted. */
export async function ensureProject(
  client: VercelClient,
  name: string,
  signal: AbortSignal,
  platform?: PlatformSettings,
): Promise<{ targetProjectId: string }> {
  requireTeam(client, platform);
  const named = await readNamed(client, platform?.projectId, signal);
  const project =
    named ?? (await readProject(client, name, signal)) ?? (await createProject(client, name, signal));
  await ensureEnvironment(client, project.id, platform?.environment ?? STAGING, signal);
  if (platform?.checks) await ensureCheck(client, project.id, signal);
  return { targetProjectId: project.id };
}

/** The dock has its own projects, found by name, whatever a file that is meant for Vercel says. */
async function readNamed(
  client: VercelClient,
  projectId: string | undefined,
  signal: AbortSignal,
): Promise<ProjectAnswer | null> {
  if (projectId === undefined || client.options.domain === "localhost") return null;
  const project = await readProject(client, projectId, signal);
  if (project !== null) return project;
  throw new AppError("unprocessable", `There is no project ${projectId} that this token can see.`, {
    hint: "Compare vercel.projectId in signalbox.yaml with the project's settings, and SIGNALBOX_VERCEL_TEAM.",
  });
}

function requireTeam({ options }: VercelClient, platform: PlatformSettings | undefined): void {
  if (platform?.teamId === undefined || options.domain === "localhost") return;
  if (platform.teamId === options.team) return;
  const ours = options.team === null ? "the token's own account" : options.team;
  throw new AppError(
    "unprocessable",
    `signalbox.yaml names the team ${platform.teamId}, and we use ${ours}.`,
    {
      hint: `Set SIGNALBOX_VERCEL_TEAM=${platform.teamId}, or correct vercel.teamId in signalbox.yaml.`,
    },
  );
}

/** Null when there is no such project. */
export async function readProject(
  client: VercelClient,
  idOrName: string,
  signal: AbortSignal,
): Promise<ProjectAnswer | null> {
  const answer = await unlessStatus(
    [404],
    () =>
      client.sdk((core, options) => projectsGetProject(core, { idOrName, ...scopeOf(client) }, options), {
        signal,
        read: true,
      }),
    null,
  );
  return answer === null ? null : readAnswer(ProjectAnswer, answer);
}

async function createProject(
  client: VercelClient,
  name: string,
  signal: AbortSignal,
): Promise<{ id: string }> {
  const answer = await unlessStatus(
    [409],
    () =>
      client.sdk(
        (core, options) =>
          projectsCreateProject(core, { ...scopeOf(client), requestBody: { name } }, options),
        { signal },
      ),
    null,
  );
  if (answer !== null) return readAnswer(CreatedAnswer, answer);
  // 409: someone made it between our look and our request.
  const project = await readProject(client, name, signal);
  if (project !== null) return project;
  throw new AppError(
    "unprocessable",
    `The project name "${name}" is taken at the target, by an owner we cannot see.`,
    {
      hint: "Choose another name, or check SIGNALBOX_VERCEL_TEAM.",
    },
  );
}

/** A plan without custom environments (402, 403) still serves the others; a staging build there says so itself. */
async function ensureEnvironment(
  client: VercelClient,
  idOrName: string,
  slug: string,
  signal: AbortSignal,
): Promise<void> {
  const scope = scopeOf(client);
  const list = customEnvironments.environmentGetProjectsByIdOrNameCustomEnvironments;
  const listed = await unlessStatus(
    [402, 403, 404],
    () => client.sdk((core, options) => list(core, { idOrName, ...scope }, options), { signal, read: true }),
    null,
  );
  if (listed !== null) {
    const { environments } = readAnswer(EnvironmentsAnswer, listed);
    if (environments.some((environment) => environment.slug === slug)) return;
  }
  const create = () =>
    client.sdk(
      (core, options) =>
        environmentCreateCustomEnvironment(core, { idOrName, ...scope, requestBody: { slug } }, options),
      { signal },
    );
  await unlessStatus([400, 402, 403, 404, 409], create, null);
}
