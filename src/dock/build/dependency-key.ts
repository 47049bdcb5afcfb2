import { createHash } from "node:crypto";
import { INSTALL_SCRIPTS, type Plan } from "./plan.ts";
import type { SourceTree } from "./source-tree.ts";

/**
 * Names an install by all that decides its result, or null when it cannot be repeated from the lockfile alone: no
 * lockfile, workspaces, links into the tree, or install scripts of the package itself, which read its sources.
 */
export async function dependencyKey(plan: Plan, tree: SourceTree): Promise<string | null> {
  const { packageJson, manager, install } = plan;
  if (!packageJson || !manager?.lockfile || install === null) return null;
  if (packageJson.workspaces !== undefined) return null;
  if (INSTALL_SCRIPTS.some((name) => packageJson.scripts[name] !== undefined)) return null;
  const lockfile = await tree.read(manager.lockfile);
  if (lockfile === null || /"link": true|["\s:]file:|["\s:]link:|workspace:/.test(lockfile)) return null;
  const hash = createHash("sha256");
  for (const part of [
    install,
    process.versions.modules,
    lockfile,
    JSON.stringify(packageJson.dependencies),
    JSON.stringify(packageJson.devDependencies),
    plan.framework?.slug ?? "",
    (await tree.read(".npmrc")) ?? "",
  ]) {
    hash.update(`${part.length}:${part}\n`);
  }
  return hash.digest("hex").slice(0, 32);
}
