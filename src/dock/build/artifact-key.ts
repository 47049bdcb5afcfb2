import { createHash } from "node:crypto";
import type { BuildRequest } from "./build.ts";

/** Raised whenever a builder with the same inputs would make a different artifact. */
const BUILDER_VERSION = 1;

/**
 * SHA-256 over everything that decides an artifact. `store` is the content store's directory, which manifests name;
 * Node's version is in it because native modules are compiled for it.
 */
export function artifactKey(request: BuildRequest, store: string): string {
  const hash = createHash("sha256");
  const line = (...fields: unknown[]) => hash.update(`${JSON.stringify(fields)}\n`);
  line("builder", BUILDER_VERSION, process.versions.modules, process.platform, process.arch, store);
  line("prebuilt", request.prebuilt);
  for (const [name, value] of Object.entries(request.settings).sort(byName)) {
    if (value != null) line("setting", name, value);
  }
  for (const [name, value] of Object.entries(request.env).sort(byName)) line("env", name, value);
  const paths = request.files.map((file) => `${file.path}\0${file.sha1}\0${file.mode.toString(8)}`);
  for (const path of paths.sort()) hash.update(`${path}\n`);
  return hash.digest("hex");
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
