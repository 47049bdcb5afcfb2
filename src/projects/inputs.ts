import { createHash } from "node:crypto";
import type { TreeFile } from "../targets/target.ts";
import type { ServicePlan } from "./plan.ts";

/**
 * Digest of all that a service's build depends on: its settings, its variables, and every file that is not inside
 * another service's folder alone. A file outside of all folders (a lock file, a shared package) counts for all.
 */
export function serviceInputs(
  files: readonly TreeFile[],
  services: readonly ServicePlan[],
  service: ServicePlan,
): string {
  const own = folderOf(service);
  const others = services.map(folderOf).filter((folder) => folder !== own && !own.startsWith(folder));
  const hash = createHash("sha256");
  hash.update(JSON.stringify([service.settings, Object.entries(service.env).sort()]));
  for (const { path, sha1, mode } of files) {
    if (others.some((folder) => path.startsWith(folder))) continue;
    hash.update(`\n${path}\0${sha1} ${mode.toString(8)}`);
  }
  return hash.digest("hex");
}

/** With a slash at its end. The whole repository is one that no other service's files begin with. */
function folderOf({ settings }: ServicePlan): string {
  const root = (settings.rootDirectory ?? "").replace(/^\.\/?|\/+$/g, "");
  return root === "" ? "\0" : `${root}/`;
}
