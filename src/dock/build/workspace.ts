import { constants, copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../foundation/clock.ts";
import type { FileStore } from "../store/store.ts";
import type { BuildRequest } from "./build.ts";
import type { BuildLog } from "./build-log.ts";
import type { BuildCache } from "./cache.ts";
import { type CommandPlaces, commandEnv } from "./command-env.ts";
import { dependencyKey } from "./dependency-key.ts";
import { ensureManager } from "./ensure-manager.ts";
import { inParallel } from "./in-parallel.ts";
import type { BuildLimits } from "./limits.ts";
import { materialise } from "./materialise.ts";
import type { Plan } from "./plan.ts";
import { runCommand } from "./run-command.ts";
import type { SourceTree } from "./source-tree.ts";
import type { StaticSource } from "./static-source.ts";

/** One build's surroundings: everything that its steps need and none of them changes. */
export type Workshop = {
  readonly request: BuildRequest;
  readonly buildId: string;
  /** Absolute; made and removed by the builder. */
  readonly work: string;
  /** The package's place in the tree, `""` for the root. */
  readonly root: string;
  readonly tree: SourceTree;
  readonly plan: Plan;
  readonly log: BuildLog;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
  readonly store: FileStore;
  readonly cache: BuildCache;
  readonly limits: BuildLimits;
  readonly networkEnv: Readonly<Record<string, string>>;
  readonly path: string;
  readonly clock: Clock;
};

/** Writes the tree out, installs, builds. Returns the package's directory, absolute. @throws BuildFailure */
export async function buildInWorkshop(shop: Workshop): Promise<string> {
  const { request, work, root, plan, cache } = shop;
  const tree = join(work, "tree");
  const directory = join(tree, root);
  const temporary = join(work, "tmp");
  for (const folder of [tree, temporary]) await mkdir(folder, { recursive: true });
  await materialise(request.files, tree, shop.store);
  const { home, npm } = await cache.places(request.projectId);
  const places: CommandPlaces = {
    directory,
    root: tree,
    home,
    npmCache: npm,
    temporary,
    shims: join(work, "shims"),
  };
  const step = (name: "install" | "build", command: string) =>
    runCommand({
      name,
      command,
      directory,
      env: envOf(shop, name, places),
      log: shop.log,
      diskDirectories: [work, home, npm],
      limits: shop.limits,
      deadlineMs: shop.deadlineMs,
      clock: shop.clock,
      signal: shop.signal,
    });
  const asked = request.settings.installCommand?.trim();
  if (plan.manager && !asked) await ensureManager(plan.manager, places.shims, envOf(shop, "install", places));
  const { install, build } = plan;
  if (install !== null) await installDependencies(shop, directory, () => step("install", install));
  if (build !== null) await buildWithCaches(shop, directory, () => step("build", build));
  return directory;
}

async function installDependencies(
  shop: Workshop,
  directory: string,
  install: () => Promise<void>,
): Promise<void> {
  const { request, plan, cache, log } = shop;
  const key = await dependencyKey(plan, shop.tree);
  if (
    key !== null &&
    !request.force &&
    (await cache.restoreDependencies(request.projectId, key, directory))
  ) {
    log.line("stdout", `Dependencies restored from the cache: ${plan.manager?.lockfile} has not changed.`);
    return;
  }
  await install();
  if (key !== null) await cache.saveDependencies(request.projectId, key, directory);
}

async function buildWithCaches(shop: Workshop, directory: string, build: () => Promise<void>): Promise<void> {
  const { request, plan, cache, log } = shop;
  const framework = plan.framework?.slug ?? "none";
  const restored = request.force
    ? 0
    : await cache.restoreFrameworkCaches(request.projectId, framework, directory);
  if (restored > 0) log.line("stdout", "The framework's cache of the last build is restored.");
  await build();
  await cache.saveFrameworkCaches(request.projectId, framework, directory);
}

function envOf(shop: Workshop, step: "install" | "build", places: CommandPlaces): Record<string, string> {
  const { buildId, path, networkEnv, request } = shop;
  return commandEnv({ step, places, buildId, path, networkEnv, env: request.env });
}

/**
 * Copies of files that a running server could write to. The store takes files by hard link where it can, and what is
 * in the store must not change.
 */
export async function detached(sources: readonly StaticSource[], work: string): Promise<StaticSource[]> {
  const directory = join(work, "static");
  await mkdir(directory, { recursive: true });
  const copies: StaticSource[] = [];
  await inParallel(sources, 16, async (source, index) => {
    const location = join(directory, String(index));
    await copyFile(source.location, location, constants.COPYFILE_FICLONE);
    copies[index] = { ...source, location };
  });
  return copies;
}
