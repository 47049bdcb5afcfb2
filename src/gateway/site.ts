import { readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { AppError } from "../foundation/errors.ts";
import { compileRoutes, type RouteTable } from "../routing/index.ts";
import type { Manifest, ManifestFile } from "./snapshot.ts";

/** A release's manifest, ready to be asked. */
export type Site = {
  readonly store: string;
  readonly files: ReadonlyMap<string, ManifestFile>;
  readonly routes: RouteTable | null;
  readonly server: boolean;
  readonly cleanUrls: boolean;
  /** True: every request goes to the release's process, and nothing needs to be looked up. */
  readonly onlyServer: boolean;
};

/** @throws AppError `unavailable` when the manifest is missing or is none */
export async function loadSite(path: string): Promise<Site> {
  try {
    return siteOf(JSON.parse(await readFile(path, "utf8")) as Manifest);
  } catch (cause) {
    throw new AppError("unavailable", `The manifest ${path} cannot be served.`, {
      hint: "Deploy again, or roll back to a release whose files are there.",
      cause,
    });
  }
}

const DIGEST = /^[0-9a-f]{40}$/;

/** @throws Error naming the first thing that could lead outside of the store */
export function siteOf(manifest: Manifest): Site {
  if (manifest.version !== 1) throw new Error(`version ${manifest.version} is not known`);
  if (!isAbsolute(manifest.store)) throw new Error("store is not an absolute path");
  const files = new Map(Object.entries(manifest.files));
  for (const [path, file] of files) {
    for (const { digest } of [file, ...Object.values(file.encodings ?? {})]) {
      if (!DIGEST.test(digest)) throw new Error(`${path}: "${digest}" is not a digest`);
    }
  }
  const routes = manifest.routes.length === 0 ? null : compileRoutes(manifest.routes);
  return {
    store: manifest.store,
    files,
    routes,
    server: manifest.server,
    cleanUrls: manifest.cleanUrls,
    onlyServer: manifest.server && files.size === 0 && routes === null,
  };
}
