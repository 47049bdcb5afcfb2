import type { PackageJson } from "./package-json.ts";
import type { SourceTree } from "./source-tree.ts";

export type PackageManager = {
  readonly name: "npm" | "pnpm" | "yarn" | "bun";
  /** Null: the tree has none, so versions are resolved anew and nothing is cached. */
  readonly lockfile: string | null;
  readonly install: string;
  /** Runs a script of package.json. */
  readonly run: (script: string) => string;
};

// In the order that Vercel looks: the first lockfile that is there decides.
const MANAGERS = [
  { name: "bun", lockfiles: ["bun.lock", "bun.lockb"], locked: "bun install --frozen-lockfile" },
  { name: "pnpm", lockfiles: ["pnpm-lock.yaml"], locked: "pnpm install --frozen-lockfile" },
  { name: "yarn", lockfiles: ["yarn.lock"], locked: "yarn install --frozen-lockfile" },
  { name: "npm", lockfiles: ["package-lock.json", "npm-shrinkwrap.json"], locked: "npm ci" },
] as const;

/**
 * By lockfile, else by package.json's `packageManager`, else npm. `above`: looks for a lockfile at the repository's
 * root when the package is below it; it names the manager, but the install is the workspace's, which is not cached.
 */
export function packageManagerOf(
  tree: SourceTree,
  packageJson: PackageJson,
  above: (path: string) => boolean,
): PackageManager {
  for (const { name, lockfiles, locked } of MANAGERS) {
    const lockfile = lockfiles.find((path) => tree.has(path));
    if (lockfile === undefined) continue;
    // Yarn 2 and later know their own flag only, and say which they are in package.json.
    const berry = name === "yarn" && /^yarn@[2-9]/.test(packageJson.packageManager ?? "");
    return manager(name, lockfile, berry ? "yarn install --immutable" : locked);
  }
  const asked = packageJson.packageManager?.split("@")[0];
  const name =
    MANAGERS.find((known) => known.name === asked)?.name ??
    MANAGERS.find(({ lockfiles }) => lockfiles.some(above))?.name ??
    "npm";
  return manager(name, null, `${name} install`);
}

function manager(name: PackageManager["name"], lockfile: string | null, install: string): PackageManager {
  return { name, lockfile, install, run: (script) => `${name} run ${script}` };
}
