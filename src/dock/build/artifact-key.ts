import { createHash } from "node:crypto";
import type { BuildRequest } from "./build.ts";
import type { VercelCli } from "./vercel-cli.ts";

/** Raised whenever a builder with the same inputs would make a different artifact. */
const BUILDER_VERSION = 2;

/**
 * SHA-256 over everything that decides an artifact. `store` is the content store's directory, which manifests name;
 * Node's version is in it because native modules are compiled for it. `cli`: what builds, when it is not the dock.
 */
export function artifactKey(request: BuildRequest, store: string, cli: VercelCli | null): string {
  const hash = createHash("sha256");
  const line = (...fields: unknown[]) => hash.update(`${JSON.stringify(fields)}\n`);
  line("builder", BUILDER_VERSION, process.versions.modules, process.platform, process.arch, store);
  line("prebuilt", request.prebuilt);
  if (cli) {
    line("vercel build", cli.version, request.target ?? "preview");
    const { fixed = {}, own = {} } = request.system ?? {};
    for (const [name, value] of Object.entries(fixed).sort(byName)) line("system", name, value);
    for (const [name, value] of Object.entries(own).sort(byName)) {
      if (value.length < SEARCHABLE) line("system", name, value);
    }
  }
  for (const [name, value] of Object.entries(request.settings).sort(byName)) {
    if (value != null) line("setting", name, value);
  }
  for (const [name, value] of Object.entries(request.env).sort(byName)) line("env", name, value);
  const paths = request.files.map((file) => `${file.path}\0${file.sha1}\0${file.mode.toString(8)}`);
  for (const path of paths.sort()) hash.update(`${path}\n`);
  return hash.digest("hex");
}

// A shorter text is found in every output by chance, so it decides by itself.
const SEARCHABLE = 8;

/** The values that make an artifact its deployment's own when they are found in it. */
export function ownTexts(request: BuildRequest): string[] {
  return Object.values(request.system?.own ?? {}).filter((value) => value.length >= SEARCHABLE);
}

/** The key of an artifact that is right for this deployment alone: no other request has it. */
export function ownKey(key: string, request: BuildRequest): string {
  return createHash("sha256").update(`${key}\n${request.deploymentId}`).digest("hex");
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
