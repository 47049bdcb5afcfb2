import { environmentCreateCustomEnvironment } from "@vercel/sdk/funcs/environmentCreateCustomEnvironment.js";
import * as customEnvironments from "@vercel/sdk/funcs/environmentGetProjectsByIdOrNameCustomEnvironments.js";
import { projectsCreateProject } from "@vercel/sdk/funcs/projectsCreateProject.js";
import { projectsGetProject } from "@vercel/sdk/funcs/projectsGetProject.js";
import type { z } from "zod";
import { AppError } from "../../foundation/errors.ts";
import { CreatedAnswer, EnvironmentsAnswer, ProjectAnswer } from "./vercel-answers.ts";
import { scopeOf, type VercelClient } from "./vercel-client.ts";
import { unlessStatus } from "./vercel-failures.ts";

export const STAGING = "staging";

/** Finds or makes the project and its custom environment `staging`. */
export async function ensureProject(
  client: VercelClient,
  name: string,
  signal: AbortSignal,
): Promise<{ targetProjectId: string }> {
  const project = (await readProject(client, name, signal)) ?? (await createProject(client, name, signal));
  await ensureStaging(client, project.id, signal);
  return { targetProjectId: project.id };
}

/** Null when there is no such project. */
export async function readProject(
  client: VercelClient,
  idOrName: string,
  signal: AbortSignal,
): Promise<z.infer<typeof ProjectAnswer> | null> {
  const answer = await unlessStatus(
    [404],
    () =>
      client.sdk((core, options) => projectsGetProject(core, { idOrName, ...scopeOf(client) }, options), {
        signal,
        read: true,
      }),
    null,
  );
  return answer === null ? null : ProjectAnswer.parse(answer.body);
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
  if (answer !== null) return CreatedAnswer.parse(answer.body);
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
async function ensureStaging(client: VercelClient, idOrName: string, signal: AbortSignal): Promise<void> {
  const scope = scopeOf(client);
  const list = customEnvironments.environmentGetProjectsByIdOrNameCustomEnvironments;
  const listed = await unlessStatus(
    [402, 403, 404],
    () => client.sdk((core, options) => list(core, { idOrName, ...scope }, options), { signal, read: true }),
    null,
  );
  if (listed !== null) {
    const { environments } = EnvironmentsAnswer.parse(listed.body);
    if (environments.some((environment) => environment.slug === STAGING)) return;
  }
  const create = () =>
    client.sdk(
      (core, options) =>
        environmentCreateCustomEnvironment(
          core,
          { idOrName, ...scope, requestBody: { slug: STAGING } },
          options,
        ),
      { signal },
    );
  await unlessStatus([400, 402, 403, 404, 409], create, null);
}
