import { readFile } from "node:fs/promises";
import type { Route } from "../../gateway/snapshot.ts";
import { contentTypeOf } from "./content-type.ts";
import { type BuiltFunction, readFunctions } from "./functions.ts";
import type { ServedFile } from "./manifest.ts";
import { type CronJob, invalidOutput, type OutputConfig, parseOutputConfig } from "./output-config.ts";
import { OUTPUT_DIRECTORY, type OutputEntry, type OutputTree, realPathIn } from "./output-tree.ts";

/** What a Build Output comes to: files and routes for the gateway, or a tree for the output server. */
export type BuildOutput = {
  readonly framework: string | null;
  readonly crons: readonly CronJob[];
  readonly functions: readonly BuiltFunction[];
} & (
  | { readonly kind: "static"; readonly files: readonly ServedFile[]; readonly routes: readonly Route[] }
  /** `entries`: all that the output server needs, to be written out. */
  | { readonly kind: "server"; readonly entries: ReadonlyMap<string, OutputEntry> }
);

const STATIC = `${OUTPUT_DIRECTORY}/static/`;

/** Reads and checks a Build Output (version 3). @throws BuildFailure `BUILD_INVALID_CONFIG` naming what is wrong. */
export async function readBuildOutput(tree: OutputTree): Promise<BuildOutput> {
  const config = parseOutputConfig(await readConfig(tree));
  assertOverridesInside(config);
  const { functions, entries } = await readFunctions(tree, middlewareOf(config));
  const facts = {
    framework: config.framework?.slug ?? null,
    crons: config.crons ?? [],
    functions,
  };
  if (needsServer(config, tree.entries)) return { ...facts, kind: "server", entries };
  const files = staticFiles(tree.entries, config);
  return { ...facts, kind: "static", files, routes: (config.routes ?? []) as Route[] };
}

async function readConfig(tree: OutputTree): Promise<string | null> {
  const entry = tree.entries.get(`${OUTPUT_DIRECTORY}/config.json`);
  return entry?.kind === "file" ? readFile(entry.location, "utf8") : null;
}

/** Whether more than files and routes are asked for. The gateway runs nothing, resizes nothing and asks nobody else. */
function needsServer(config: OutputConfig, entries: ReadonlyMap<string, OutputEntry>): boolean {
  if (config.images || (config.wildcard ?? []).length > 0) return true;
  for (const path of entries.keys()) if (path.startsWith(`${OUTPUT_DIRECTORY}/functions/`)) return true;
  return (config.routes ?? []).some(
    (route) => "middlewarePath" in route || ("dest" in route && /^(https?:)?\/\//i.test(String(route.dest))),
  );
}

function middlewareOf(config: OutputConfig): Set<string> {
  const paths = new Set<string>();
  for (const route of config.routes ?? []) {
    const path = "middlewarePath" in route ? route.middlewarePath : undefined;
    if (typeof path === "string") paths.add(path.replace(/^\/+/, ""));
  }
  return paths;
}

function staticFiles(entries: ReadonlyMap<string, OutputEntry>, config: OutputConfig): ServedFile[] {
  const overrides = new Map(Object.entries(config.overrides ?? {}));
  const files: ServedFile[] = [];
  for (const listed of entries.keys()) {
    if (!listed.startsWith(STATIC)) continue;
    const real = realPathIn(entries, listed);
    const entry = real === null ? undefined : entries.get(real);
    if (entry?.kind !== "file") continue;
    const path = listed.slice(STATIC.length);
    const override = overrides.get(path);
    const { size, sha1, location } = entry;
    const urlPath = `/${(override?.path ?? path).replace(/^\/+/, "")}`;
    const type = override?.contentType ?? contentTypeOf(path);
    const file = { urlPath, type, source: { path: listed, size, sha1, location } };
    files.push(file);
    // With clean URLs a folder's page is named `index`; the gateway finds it for `/` by its whole name.
    if (/\/index$/.test(urlPath) && type.startsWith("text/html")) {
      files.push({ ...file, urlPath: `${urlPath}.html` });
    }
  }
  return files;
}

/** An override gives a file another URL; one with dots or control characters in it would name none. */
function assertOverridesInside(config: OutputConfig): void {
  for (const [file, { path, contentType }] of Object.entries(config.overrides ?? {})) {
    for (const part of [file, path ?? ""]) {
      if (!part.split("/").includes("..") && !/[\0\\]/.test(part)) continue;
      throw invalidOutput(`the override of ${JSON.stringify(file.slice(0, 200))} leads outside of static/`);
    }
    // It becomes a header's value.
    if (contentType === undefined || /^[\x20-\x7e]{1,256}$/.test(contentType)) continue;
    throw invalidOutput(
      `the override of ${JSON.stringify(file.slice(0, 200))} has a content type that is none`,
    );
  }
}
