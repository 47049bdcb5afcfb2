import { messageOf } from "../../foundation/errors.ts";
import { type Artifact, BuildFailure, type BuildRequest } from "../build/build.ts";
import type { Dock } from "../dock.ts";
import { endFailed } from "./end-deployment.ts";
import type { Deployment } from "./queries.ts";
import { releaseDeployment } from "./release-deployment.ts";
import { systemVariablesOf } from "./system-variables.ts";
import { loadTree } from "./tree.ts";
import { openEnv } from "./variables-of.ts";

/** The reason that a closing dock aborts its builds with: they go back into the line instead of ending. */
export class DockClosing extends Error {
  override readonly name = "DockClosing";
}

/** Builds a deployment from its row and gives it its traffic. Ends it in every case but a closing dock. */
export async function buildDeployment(dock: Dock, id: string, signal: AbortSignal): Promise<void> {
  await dock.events.open(id);
  const row = await claim(dock, id);
  if (!row) return dock.events.end(id);
  try {
    const request = await buildRequest(dock, row);
    const { artifact, reused } = await dock.builder.build(request, {
      signal,
      onEvent: (event) => dock.events.append(id, event),
    });
    if (reused) noteReuse(dock, id);
    await releaseDeployment(dock, { ...row, artifact: artifact.key }, artifact, { reused, signal });
  } catch (error) {
    await endUnbuilt(dock, id, error, signal);
  }
}

/** The same for an artifact that is there: nothing is built. */
export async function releaseReused(
  dock: Dock,
  row: Deployment,
  artifact: Artifact,
  signal: AbortSignal,
): Promise<void> {
  const claimed = await claim(dock, row.id);
  if (!claimed) return dock.events.end(row.id);
  noteReuse(dock, row.id);
  try {
    await releaseDeployment(dock, claimed, artifact, { reused: true, signal });
  } catch (error) {
    await endUnbuilt(dock, row.id, error, signal);
  }
}

function noteReuse(dock: Dock, id: string): void {
  const text = "The same files, settings and variables were built before: using that build.";
  dock.events.append(id, { type: "stdout", text });
}

async function claim(dock: Dock, id: string): Promise<Deployment | undefined> {
  return dock.db
    .updateTable("deployments")
    .set((eb) => ({ state: "BUILDING", building_at: dock.clock.now(), attempts: eb("attempts", "+", 1) }))
    .where("id", "=", id)
    .where("state", "in", ["QUEUED", "BUILDING"])
    .returningAll()
    .executeTakeFirst();
}

export async function buildRequest(dock: Dock, row: Deployment): Promise<BuildRequest> {
  const { slug, fixed, own } = await systemVariablesOf(dock, row);
  return {
    deploymentId: row.id,
    projectId: row.project_id,
    files: await loadTree(dock.db, row.tree),
    settings: {
      framework: row.settings.framework ?? null,
      installCommand: row.settings.installCommand ?? null,
      buildCommand: row.settings.buildCommand ?? null,
      outputDirectory: row.settings.outputDirectory ?? null,
      rootDirectory: row.settings.rootDirectory ?? null,
    },
    env: openEnv(dock, row.id, row.env).build,
    target: slug ?? row.target ?? "preview",
    system: { fixed, own },
    prebuilt: row.prebuilt,
    force: row.force,
  };
}

async function endUnbuilt(dock: Dock, id: string, error: unknown, signal: AbortSignal): Promise<void> {
  if (signal.reason instanceof DockClosing) {
    await dock.db
      .updateTable("deployments")
      .set((eb) => ({ state: "QUEUED", building_at: null, attempts: eb("attempts", "-", 1) }))
      .where("id", "=", id)
      .where("state", "=", "BUILDING")
      .execute();
    return dock.events.end(id);
  }
  // Canceled: the row says so already, and whoever canceled ended the log.
  if (signal.aborted) return dock.events.end(id);
  if (error instanceof BuildFailure)
    return endFailed(dock, id, error.code, sentence(error.message, error.hint));
  dock.log.error({ err: error, deploymentId: id }, "a build failed for a reason of ours");
  await endFailed(dock, id, "BUILD_FAILED", `The dock could not build it: ${messageOf(error)}`);
}

function sentence(message: string, hint: string | undefined): string {
  return hint === undefined ? message : `${message} ${hint}`;
}
