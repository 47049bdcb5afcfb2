import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { z } from "zod";
import { contentTypeOf } from "../build/content-type.ts";
import { type FunctionSpec, parseFunctionConfig } from "./functions/function-config.ts";
import { ImagesConfig } from "./images/image-request.ts";
import { type PrerenderSpec, readPrerender } from "./prerender/prerender-config.ts";

const Config = z.object({
  version: z.literal(3),
  routes: z.array(z.record(z.string(), z.unknown())).nullish(),
  overrides: z
    .record(z.string(), z.object({ path: z.string().optional(), contentType: z.string().optional() }))
    .nullish(),
  wildcard: z.array(z.object({ domain: z.string(), value: z.string() })).nullish(),
  images: ImagesConfig.nullish(),
});

export type StaticFile = { readonly kind: "file"; readonly path: string; readonly type: string };

export type FunctionEntry = {
  readonly kind: "function";
  /** `/api/hello`, also the value of `x-matched-path`. */
  readonly path: string;
  /** A sentence when it cannot be run here. */
  readonly spec: FunctionSpec | string;
  readonly prerender: PrerenderSpec | null;
};

/** A release's Build Output, read once: nothing of a request's path ever reaches the disk. */
export type ReleaseOutput = {
  readonly root: string;
  readonly routes: readonly Record<string, unknown>[];
  readonly wildcard: readonly { readonly domain: string; readonly value: string }[];
  readonly images: z.infer<typeof ImagesConfig> | null;
  readonly files: ReadonlyMap<string, StaticFile>;
  readonly functions: ReadonlyMap<string, FunctionEntry>;
};

/** @param root the release's tree, which `.vercel/output` is in. */
export function readOutput(root: string): ReleaseOutput {
  const tree = realpathSync(root);
  const output = join(tree, ".vercel", "output");
  const config = Config.parse(JSON.parse(readFileSync(join(output, "config.json"), "utf8")));
  return {
    root: tree,
    routes: config.routes ?? [],
    wildcard: config.wildcard ?? [],
    images: config.images ?? null,
    files: readFiles(join(output, "static"), tree, config.overrides ?? {}),
    functions: readFunctions(join(output, "functions"), tree),
  };
}

type Overrides = Readonly<Record<string, { path?: string | undefined; contentType?: string | undefined }>>;

function readFiles(folder: string, tree: string, overrides: Overrides): Map<string, StaticFile> {
  const files = new Map<string, StaticFile>();
  walk(folder, tree, (name, path, isDirectory) => {
    if (isDirectory) return "enter";
    const override = overrides[name];
    const type = override?.contentType ?? contentTypeOf(name);
    files.set(`/${(override?.path ?? name).replace(/^\/+/, "")}`, { kind: "file", path, type });
    return "skip";
  });
  return files;
}

function readFunctions(folder: string, tree: string): Map<string, FunctionEntry> {
  const functions = new Map<string, FunctionEntry>();
  const configs = new Map<string, string>();
  walk(folder, tree, (name, path, isDirectory) => {
    if (!isDirectory) {
      const prerendered = /^(.+)\.prerender-config\.json$/.exec(name)?.[1];
      if (prerendered !== undefined) configs.set(prerendered, path);
      return "skip";
    }
    const plain = /^(.+)\.func$/.exec(name)?.[1];
    if (plain === undefined) return "enter";
    const spec = readFunction(plain, path);
    functions.set(`/${plain}`, { kind: "function", path: `/${plain}`, spec, prerender: null });
    return "skip";
  });
  for (const [name, path] of configs) {
    const entry = functions.get(`/${name}`);
    const prerender = readPrerender(path, name, folder);
    const spec = entry?.spec ?? `${name} has a prerender configuration and no function`;
    functions.set(`/${name}`, { kind: "function", path: `/${name}`, spec, prerender });
  }
  return functions;
}

function readFunction(name: string, directory: string): FunctionSpec | string {
  try {
    return parseFunctionConfig(readFileSync(join(directory, ".vc-config.json"), "utf8"), { name, directory });
  } catch {
    return `${name} has no .vc-config.json`;
  }
}

/**
 * Every file and directory below `folder`, links followed; one that leads out of the release's tree does not exist.
 * `visit` gets the path below `folder` and the real path.
 */
function walk(
  folder: string,
  tree: string,
  visit: (name: string, path: string, isDirectory: boolean) => "enter" | "skip",
): void {
  // A link to a parent would make the walk endless.
  const enter = (directory: string, prefix: string, parents: readonly string[]) => {
    for (const entry of list(directory)) {
      const name = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
      const path = entry.isSymbolicLink()
        ? realPath(join(directory, entry.name))
        : join(directory, entry.name);
      if (path === null || !path.startsWith(tree + sep)) continue;
      const isDirectory = entry.isSymbolicLink() ? statSync(path).isDirectory() : entry.isDirectory();
      if (visit(name, path, isDirectory) === "enter" && !parents.includes(path))
        enter(path, name, [...parents, path]);
    }
  };
  enter(folder, "", [folder]);
}

function list(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
