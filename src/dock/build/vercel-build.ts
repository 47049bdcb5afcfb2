import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BuildRequest } from "./build.ts";
import { type CommandPlaces, commandEnv } from "./command-env.ts";
import { dependencyKey } from "./dependency-key.ts";
import { detectFrameworks } from "./detect-framework.ts";
import { inParallel } from "./in-parallel.ts";
import { materialise } from "./materialise.ts";
import type { OutputEntry } from "./output-tree.ts";
import { readPackageJson } from "./package-json.ts";
import { planBuild } from "./plan.ts";
import { runCommand } from "./run-command.ts";
import type { VercelCli } from "./vercel-cli.ts";
import type { Workshop } from "./workspace.ts";

export type VercelBuild = Omit<Workshop, "plan"> & { readonly cli: VercelCli };

/**
 * Builds with the official CLI, which installs, builds and leaves `.vercel/output` at the tree's root. It gets no token
 * and a home of its own, so that it can be nobody at Vercel. Returns the tree's directory. @throws BuildFailure
 */
export async function vercelBuild(shop: VercelBuild): Promise<string> {
  const { request, work, root, cache, cli } = shop;
  const tree = join(work, "tree");
  const temporary = join(work, "tmp");
  for (const folder of [tree, temporary]) await mkdir(folder, { recursive: true });
  await materialise(request.files, tree, shop.store);
  const framework = request.settings.framework ?? (await detected(shop));
  await writeProject(tree, request, framework);
  const { home, npm } = await cache.places(request.projectId);
  const directory = join(tree, root);
  const places = { directory, root: tree, home, npmCache: npm, temporary, shims: join(work, "shims") };
  const dependencies = await restore(shop, directory, framework);
  const flags = request.target === "production" ? " --prod" : targetFlag(request.target);
  await runCommand({
    name: "build",
    command: `"$${CLI_VARIABLE}" build --yes${flags}`,
    shown: `vercel build${flags}`,
    directory: tree,
    env: { ...buildEnv(shop, places, framework), [CLI_VARIABLE]: cli.path },
    log: shop.log,
    diskDirectories: [work, home, npm],
    limits: shop.limits,
    deadlineMs: shop.deadlineMs,
    clock: shop.clock,
    signal: shop.signal,
  });
  if (dependencies !== null) await cache.saveDependencies(request.projectId, dependencies, directory);
  await cache.saveFrameworkCaches(request.projectId, framework ?? "none", directory);
  return tree;
}

const CLI_VARIABLE = "SIGNALBOX_VERCEL_CLI";

/** A custom environment's name; a preview needs none. */
function targetFlag(target: string | undefined): string {
  return target !== undefined && target !== "preview" && /^[\w-]+$/.test(target) ? ` --target=${target}` : "";
}

async function detected(shop: VercelBuild): Promise<string | null> {
  const packageJson = await readPackageJson(shop.tree);
  return (await detectFrameworks(shop.tree, packageJson))[0]?.slug ?? null;
}

/** What `vercel pull` would have written: with `settings` in it the CLI asks nobody. */
async function writeProject(tree: string, request: BuildRequest, framework: string | null): Promise<void> {
  const { installCommand, buildCommand, outputDirectory, rootDirectory } = request.settings;
  const settings = {
    framework,
    installCommand: installCommand ?? null,
    buildCommand: buildCommand ?? null,
    devCommand: null,
    outputDirectory: outputDirectory ?? null,
    rootDirectory: rootDirectory?.trim() || null,
    directoryListing: false,
    nodeVersion: "24.x",
    createdAt: 0,
  };
  const file = join(tree, ".vercel/project.json");
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify({ projectId: request.projectId, orgId: "team_dock", settings }));
}

/** Puts what earlier builds left in place. Returns the name under which this install is to be kept, or null. */
async function restore(
  shop: VercelBuild,
  directory: string,
  framework: string | null,
): Promise<string | null> {
  const { request, cache, tree, log } = shop;
  // A tree that the dock itself could not build (functions in it, no server) has no plan, and the CLI installs anew.
  const plan = await planBuild(tree, request.settings, request.env).catch(() => null);
  const key = plan === null ? null : await dependencyKey(plan, tree);
  if (request.force) return key;
  if (key !== null && (await cache.restoreDependencies(request.projectId, key, directory))) {
    log.line("stdout", `Dependencies restored from the cache: ${plan?.manager?.lockfile} has not changed.`);
  }
  const restored = await cache.restoreFrameworkCaches(request.projectId, framework ?? "none", directory);
  if (restored > 0) log.line("stdout", "The framework's cache of the last build is restored.");
  return key;
}

function buildEnv(
  shop: VercelBuild,
  places: CommandPlaces,
  framework: string | null,
): Record<string, string> {
  const { request, buildId, path, networkEnv } = shop;
  const system = { ...request.system?.fixed, ...request.system?.own };
  const own = { ...system, ...prefixed(system, framework), ...request.env };
  const { NODE_ENV: _, ...env } = commandEnv({ step: "build", places, buildId, path, networkEnv, env: own });
  return {
    ...env,
    // Frameworks choose it for themselves; set for all, an install would leave out what only the build needs.
    ...(request.env.NODE_ENV === undefined ? {} : { NODE_ENV: request.env.NODE_ENV }),
    VERCEL_TELEMETRY_DISABLED: "1",
    NO_UPDATE_NOTIFIER: "1",
  };
}

// Source: vercel.com/docs/environment-variables/framework-environment-variables.
const PREFIXES: Readonly<Record<string, string>> = {
  nextjs: "NEXT_PUBLIC_",
  blitzjs: "NEXT_PUBLIC_",
  nuxtjs: "NUXT_ENV_",
  astro: "PUBLIC_",
  hydrogen: "PUBLIC_",
  gatsby: "GATSBY_",
  sveltekit: "VITE_",
  "sveltekit-1": "VITE_",
  solidstart: "VITE_",
  "solidstart-1": "VITE_",
  vite: "VITE_",
  vue: "VUE_APP_",
  "create-react-app": "REACT_APP_",
  redwoodjs: "REDWOOD_ENV_",
  sanity: "SANITY_STUDIO_",
  "sanity-v3": "SANITY_STUDIO_",
};

/** The same variables once more under the names by which a framework lets them into the browser. */
function prefixed(
  system: Readonly<Record<string, string>>,
  framework: string | null,
): Record<string, string> {
  const prefix = framework === null ? undefined : PREFIXES[framework];
  if (prefix === undefined) return {};
  const public_ = Object.entries(system).filter(([name]) => name.startsWith("VERCEL_"));
  return Object.fromEntries(public_.map(([name, value]) => [`${prefix}${name}`, value]));
}

const LARGEST_SEARCHED = 64 * 2 ** 20;

/**
 * Whether what was built has one of these texts in it. A build that wrote its own URL or id somewhere is right for its
 * own deployment only, and may not be reused. Files of dependencies are not searched: they were not written by it.
 */
export async function mentions(
  entries: ReadonlyMap<string, OutputEntry>,
  texts: readonly string[],
): Promise<boolean> {
  if (texts.length === 0) return false;
  const own = [...entries].filter(([path]) => !/(^|\/)node_modules\//.test(path));
  let found = false;
  await inParallel(own, 8, async ([path, entry]) => {
    if (found || entry.kind !== "file" || entry.size > LARGEST_SEARCHED) return;
    if (path === ".vercel/output/builds.json" || path.startsWith(".vercel/output/diagnostics/")) return;
    const bytes = await readFile(entry.location);
    found ||= texts.some((text) => bytes.includes(text));
  });
  return found;
}
