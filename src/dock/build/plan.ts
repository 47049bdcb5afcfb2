import { posix } from "node:path";
import type { Framework } from "@vercel/frameworks";
import type { Route } from "../../gateway/snapshot.ts";
import { BuildFailure, type BuildSettings } from "./build.ts";
import { detectFrameworks, frameworkOf } from "./detect-framework.ts";
import { type PackageJson, readPackageJson } from "./package-json.ts";
import { type PackageManager, packageManagerOf } from "./package-manager.ts";
import { assertNoSourceFunctions } from "./source-functions.ts";
import type { SourceTree } from "./source-tree.ts";
import { startCommand } from "./start-command.ts";

/** What will be done with a tree. */
export type Plan = {
  readonly framework: Framework | null;
  readonly packageJson: PackageJson | null;
  readonly manager: PackageManager | null;
  /** Run by `sh -c` in the package directory; null: nothing to do. */
  readonly install: string | null;
  readonly build: string | null;
  readonly output: Output;
  /** Null for a static release. */
  readonly server: string | null;
  readonly routes: readonly Route[];
};

/** Where the static files are, relative to the package directory, and who says so. */
export type Output = { readonly directory: string; readonly from: "settings" | "framework" | "default" };

export const BUILD_OUTPUT = ".vercel/output";

/** Where the package is in the tree: `""`, or a path without slashes at its ends. @throws BuildFailure when outside. */
export function rootDirectoryOf(settings: BuildSettings): string {
  const root = settings.rootDirectory ?? "";
  return insideOf(root, "root directory");
}

/**
 * Decides from the tree and the settings; the settings win. An empty command in the settings skips its step, as on
 * Vercel. @throws BuildFailure `BUILD_INVALID_CONFIG`
 */
export async function planBuild(
  tree: SourceTree,
  settings: BuildSettings,
  env: Readonly<Record<string, string>>,
  lockfileAbove: (path: string) => boolean = () => false,
): Promise<Plan> {
  const packageJson = await readPackageJson(tree);
  const matches =
    settings.framework != null
      ? [frameworkOf(settings.framework)]
      : await detectFrameworks(tree, packageJson);
  const framework = matches[0] ?? null;
  const manager = packageJson ? packageManagerOf(tree, packageJson, lockfileAbove) : null;
  const server = serverCommand(tree, packageJson, matches, env);
  const build = buildCommand(settings, framework, packageJson, manager);
  if (server === null) {
    assertServable(framework, tree, settings);
    if (env.SIGNALBOX_BUILDER !== "dock") assertNoSourceFunctions(tree.files.map((file) => file.path));
  }
  return {
    framework,
    packageJson,
    manager,
    install: installCommand(settings, packageJson, manager),
    build,
    output: outputOf(tree, settings, matches, build !== null),
    server,
    routes: server === null && Array.isArray(framework?.defaultRoutes) ? staticRoutes(framework) : [],
  };
}

function serverCommand(
  tree: SourceTree,
  packageJson: PackageJson | null,
  matches: readonly Framework[],
  env: Readonly<Record<string, string>>,
): string | null {
  if (env.SIGNALBOX_START_COMMAND) return env.SIGNALBOX_START_COMMAND;
  if (!packageJson) return null;
  // A server.js beside a site generator is its development server; only a package without one is started by it.
  return startCommand(packageJson, tree.has("server.js") && !matches.some(hasStaticOutput));
}

function installCommand(
  settings: BuildSettings,
  packageJson: PackageJson | null,
  manager: PackageManager | null,
): string | null {
  if (settings.installCommand != null) return settings.installCommand.trim() || null;
  if (!packageJson || !manager) return null;
  const { dependencies, devDependencies, workspaces, scripts } = packageJson;
  const anything =
    Object.keys({ ...dependencies, ...devDependencies }).length > 0 ||
    workspaces !== undefined ||
    INSTALL_SCRIPTS.some((name) => scripts[name] !== undefined);
  return anything ? manager.install : null;
}

/** Scripts of the package itself that an install runs: with one of these, an install is more than its lockfile. */
export const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall", "prepare"] as const;

function buildCommand(
  settings: BuildSettings,
  framework: Framework | null,
  packageJson: PackageJson | null,
  manager: PackageManager | null,
): string | null {
  if (settings.buildCommand != null) return settings.buildCommand.trim() || null;
  const preset = framework?.settings.buildCommand;
  if (preset?.ignorePackageJsonScript && preset.value) return preset.value;
  const script = ["vercel-build", "now-build", "build"].find((name) => packageJson?.scripts[name]);
  if (script !== undefined && manager) return manager.run(script);
  return preset?.value ?? null;
}

function outputOf(
  tree: SourceTree,
  settings: BuildSettings,
  matches: readonly Framework[],
  built: boolean,
): Output {
  if (settings.outputDirectory != null) {
    const directory = insideOf(settings.outputDirectory, "output directory");
    return { directory: directory || ".", from: "settings" };
  }
  const preset = matches.find(hasStaticOutput)?.settings.outputDirectory;
  if (preset && "value" in preset && preset.value) return { directory: preset.value, from: "framework" };
  return { directory: built || tree.hasDirectory("public") ? "public" : ".", from: "default" };
}

/** True for frameworks whose build leaves a directory of files to serve. */
export function hasStaticOutput(framework: Framework): boolean {
  const output = framework.settings.outputDirectory;
  return !framework.useRuntime && "value" in output && output.value !== null && output.value !== "N/A";
}

const FOREIGN_RUNTIME = /^@vercel\/(python|ruby|rust|go|container)$/;

/** Refuses what would otherwise be served as source code: programs in languages that have no runtime here. */
function assertServable(framework: Framework | null, tree: SourceTree, settings: BuildSettings): void {
  if (!FOREIGN_RUNTIME.test(framework?.useRuntime?.use ?? "") || settings.outputDirectory != null) return;
  if (tree.has("index.html") || tree.has("public/index.html")) return;
  throw new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `This looks like a ${framework?.name} project, and nothing says how to serve it.`,
    "Set `build.start` in signalbox.yaml to the command of a Node server, or `build.output` to a directory of files.",
  );
}

function staticRoutes(framework: Framework): Route[] {
  const routes: Route[] = Array.isArray(framework.defaultRoutes) ? framework.defaultRoutes : [];
  return routes;
}

/** A relative directory in normal form, `""` for the tree itself. */
function insideOf(directory: string, what: string): string {
  const path = posix.normalize(directory.trim() || ".").replace(/^\.\/|\/+$/g, "");
  const bad = path === ".." || path.startsWith("../") || path.startsWith("/") || /[\0\\]/.test(path);
  if (!bad) return path === "." ? "" : path;
  throw new BuildFailure(
    "BUILD_INVALID_CONFIG",
    `The ${what} ${JSON.stringify(directory)} is not inside the repository.`,
    "Give a path relative to the repository's root, without `..`.",
  );
}
