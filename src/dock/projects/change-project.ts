import { PG } from "../../foundation/db.ts";
import { AppError, errorCodeOf } from "../../foundation/errors.ts";
import type { Dock } from "../dock.ts";
import { productionHost } from "../hosts.ts";
import type { ProjectOptions, ProjectSettings, RollingReleaseConfig } from "../rows.ts";
import { protectionOf } from "../traffic/host-gate.ts";
import { isHeldByAnother, isNameOfAnother } from "../traffic/host-owner.ts";
import { settingsOf, type TrafficSettings, type TrafficState } from "../traffic/snapshot.ts";
import type { Change } from "../traffic/traffic.ts";
import { checkName, hostTaken, nameTaken } from "./create-project.ts";
import { findProject, getProject, type Project } from "./queries.ts";

/** Changes the settings given; the others stay. Settings reach builds from the next deployment on. */
export async function updateProject(
  dock: Dock,
  project: Project,
  changes: {
    settings: ProjectSettings;
    name?: string | undefined;
    /** Null: forgotten. */
    options?: ProjectOptions | undefined;
    autoAssignCustomDomains?: boolean | undefined;
    /** Seconds; 0: off. */
    skewProtectionMaxAge?: number | undefined;
  },
): Promise<Project> {
  const settings: ProjectSettings = { ...project.settings, ...changes.settings };
  const auto = changes.autoAssignCustomDomains;
  const maxAge = changes.skewProtectionMaxAge;
  const options = { ...project.options, ...changes.options };
  const name = changes.name ?? project.name;
  if (name !== project.name) {
    checkName(name);
    const host = productionHost(name, dock.domain);
    const isTaken = await isNameOfAnother(dock, host, project.id);
    if (isTaken && !(await findProject(dock.db, name))) throw hostTaken(name, host);
  }
  const row = {
    name,
    options: JSON.stringify(options),
    settings: JSON.stringify(settings),
    updated_at: dock.clock.now(),
    ...(auto === undefined ? {} : { auto_assign: auto }),
    ...(maxAge === undefined ? {} : { skew_protection_max_age: maxAge }),
  };
  // Under the pointers' lock: a build that gets ready now sees the flag as it is before or after, never in between.
  const generation = await dock.traffic
    .change((state) => ({
      ...(auto === undefined ? {} : { autoAssignInMemory: { projectId: project.id, value: auto } }),
      ...settingsChange(state, project, {
        ...(maxAge === undefined ? {} : { skewMaxAgeS: maxAge }),
        protection: protectionOf(options),
      }),
      ...(name === project.name ? {} : renaming(dock, state, project, name)),
      write: async (tx) => {
        await tx.updateTable("projects").set(row).where("id", "=", project.id).execute();
        if (name === project.name) return;
        const more = { name, previousName: project.name };
        await dock.hooks.emit(tx, "project.renamed", { projectId: project.id, more });
      },
    }))
    .catch((error) => {
      throw errorCodeOf(error) === PG.uniqueViolation ? nameTaken(name, error) : error;
    });
  const isSeen = name !== project.name || protectionOf(options) !== protectionOf(project.options);
  if (isSeen) await dock.publisher.served(generation);
  return getProject(dock.db, project.id);
}

/** Production moves to the host of the new name. Hosts of branches and environments follow at their next deployment. */
function renaming(
  dock: Dock,
  state: TrafficState,
  project: Project,
  name: string,
): Pick<Change, "setAliases" | "removeAliases" | "addReleases"> {
  const before = productionHost(project.name, dock.domain);
  const host = productionHost(name, dock.domain);
  const alias = state.aliases.get(before);
  if (isHeldByAnother(state, host, project.id)) throw hostTaken(name, host);
  const addReleases = [...state.releases.values()]
    .filter((release) => release.projectId === project.id)
    .map((release) => ({ ...release, project: name }));
  if (!alias || alias.projectId !== project.id || host === before) return { addReleases };
  return { addReleases, removeAliases: [before], setAliases: [{ host, ...alias }] };
}

/** Nothing of a paused project is served; its processes stay as they are. Resolves once the gateway knows. */
export async function setPaused(dock: Dock, project: Project, paused: boolean): Promise<void> {
  const now = dock.clock.now();
  const generation = await dock.traffic.change((state) => ({
    ...settingsChange(state, project, { paused }),
    write: async (tx) => {
      const row = { paused_at: paused ? now : null, updated_at: now };
      await tx.updateTable("projects").set(row).where("id", "=", project.id).execute();
    },
  }));
  await dock.publisher.served(generation);
}

/** Lets visitors keep a release of this project for so long after a flip. 0: not at all. From the next flip on. */
export async function setDrain(dock: Dock, project: Project, drainMs: number): Promise<void> {
  if (project.drain_ms === drainMs) return;
  const generation = await dock.traffic.change((state) => ({
    ...settingsChange(state, project, { drainMs }),
    write: async (tx) => {
      const row = { drain_ms: drainMs, updated_at: dock.clock.now() };
      await tx.updateTable("projects").set(row).where("id", "=", project.id).execute();
    },
  }));
  await dock.publisher.served(generation);
}

export function settingsChange(
  state: TrafficState,
  { id }: Project,
  changes: Partial<TrafficSettings>,
): Pick<Change, "settingsInMemory"> {
  return { settingsInMemory: { projectId: id, settings: { ...settingsOf(state, id), ...changes } } };
}

/** Removes a project with all of its deployments. Its hosts answer nothing once this resolves. */
export async function deleteProject(dock: Dock, project: Project): Promise<void> {
  const unfinished = await dock.db
    .selectFrom("deployments")
    .select("id")
    .where("project_id", "=", project.id)
    .where("state", "in", ["QUEUED", "BUILDING"])
    .execute();
  for (const { id } of unfinished) dock.queue.cancel(id);
  let running: string[] = [];
  await dock.traffic.change((state) => {
    const releases = [...state.releases.values()].filter((release) => release.projectId === project.id);
    const hosts = [...state.aliases]
      .filter(([, alias]) => alias.projectId === project.id)
      .map(([host]) => host);
    running = releases.map((release) => release.id);
    return {
      removeAliases: hosts,
      removeReleases: running,
      setRollouts: [{ projectId: project.id, rollout: null }],
      autoAssignInMemory: { projectId: project.id, value: true },
      domainsInMemory: {
        remove: [...state.domains].filter(([, one]) => one.projectId === project.id).map(([host]) => host),
      },
      write: async (tx) => {
        const more = { name: project.name };
        await dock.hooks.emit(tx, "project.removed", { projectId: project.id, more });
        await tx.deleteFrom("projects").where("id", "=", project.id).execute();
      },
    };
  });
  for (const id of running) await dock.runner.stop(id);
  for (const { id } of unfinished) await dock.events.end(id);
}

/** Sets or clears the template of rolling releases. One that is active goes on as it began. */
export async function configureRollingRelease(
  dock: Dock,
  project: Project,
  config: RollingReleaseConfig | null,
): Promise<void> {
  if (config) checkStages(config);
  await dock.db
    .updateTable("projects")
    .set({ rolling_release_config: config ? JSON.stringify(config) : null, updated_at: dock.clock.now() })
    .where("id", "=", project.id)
    .execute();
}

function checkStages({ stages }: RollingReleaseConfig): void {
  const shares = stages.map((stage) => stage.targetPercentage);
  const ascending = shares.every((share, i) => i === 0 || share > (shares[i - 1] ?? 0));
  if (shares.length >= 2 && shares.length <= 10 && ascending && shares.at(-1) === 100) return;
  throw new AppError("bad_request", `The stages [${shares.join(", ")}] are not a rolling release.`, {
    hint: "Give 2 to 10 ascending whole percents, the last one 100.",
  });
}
