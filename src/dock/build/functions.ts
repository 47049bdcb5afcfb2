import { readFile } from "node:fs/promises";
import { posix } from "node:path";
import { z } from "zod";
import { inParallel } from "./in-parallel.ts";
import { mebibytes } from "./limits.ts";
import { checked, invalidOutput, parseJson } from "./output-config.ts";
import { OUTPUT_DIRECTORY, type OutputEntry, type OutputTree, realPathIn } from "./output-tree.ts";

/** One function of an artifact, as `GET /deployments/:id/builds` shows it. */
export const BuiltFunction = z.object({
  /** The URL path without its slash: `api/hello`. */
  path: z.string(),
  type: z.enum(["lambda", "edge", "middleware"]),
  /** `nodejs24.x` or `edge`. */
  runtime: z.string(),
  /** Bytes of its files, those that it shares with others included. */
  size: z.number(),
  /** MB; null: the default. */
  memory: z.number().nullable(),
  /** Seconds; null: the default. */
  maxDuration: z.number().nullable(),
  /** True: answers are kept, and made again when they are old (ISR). */
  prerender: z.boolean(),
});
export type BuiltFunction = z.infer<typeof BuiltFunction>;

export type Functions = {
  readonly functions: readonly BuiltFunction[];
  /** The output and what its functions take from the repository, as it is to be written. */
  readonly entries: ReadonlyMap<string, OutputEntry>;
};

// A function's unpacked size is bounded as on Vercel. The counts only keep one upload from filling the machine: a big
// site has thousands of prerendered pages, each of which is a link to one of a few functions.
const MOST_FUNCTION_BYTES = 250 * 2 ** 20;
const MOST_FUNCTIONS = 2_000;
const MOST_FILES = 200_000;
const MOST_CONFIG_BYTES = 16 * 2 ** 20;
/** Of these many functions the facts are kept for show. */
const MOST_SHOWN = 1_000;

const positive = z.number().positive();
const FilePathMap = z.record(z.string().min(1).max(4_096), z.string().min(1).max(4_096)).nullish();
const Shared = { environment: z.record(z.string(), z.string()).nullish(), filePathMap: FilePathMap };

// Source: vercel.com/docs/build-output-api/primitives. What is not named here is the output server's to know.
const NodeFunction = z.looseObject({
  runtime: z.string(),
  handler: z.string().min(1).max(1_024),
  memory: positive.max(10_240).nullish(),
  maxDuration: z.union([positive.max(86_400), z.literal("max")]).nullish(),
  ...Shared,
});
const EdgeFunction = z.looseObject({
  runtime: z.literal("edge"),
  entrypoint: z.string().min(1).max(1_024),
  assets: z.array(z.looseObject({ name: z.string(), path: z.string() })).nullish(),
  ...Shared,
});
const PrerenderConfig = z.looseObject({
  expiration: z.union([z.number().nonnegative(), z.literal(false)]).nullish(),
  group: z.number().int().nullish(),
  bypassToken: z.string().nullish(),
  fallback: z.union([z.string(), z.looseObject({ fsPath: z.string() })]).nullish(),
  initialHeaders: z.record(z.string(), z.string()).nullish(),
  initialStatus: z.number().int().min(100).max(599).nullish(),
  allowQuery: z.array(z.string()).nullish(),
});

const FUNCTIONS = `${OUTPUT_DIRECTORY}/functions/`;

/**
 * Checks every function of an output and gathers the files that they need: whatever is wrong with one is said now, with
 * its name, and not by a request that fails later. @throws BuildFailure `BUILD_INVALID_CONFIG`
 * @param middleware paths that routes name as middleware
 */
export async function readFunctions(tree: OutputTree, middleware: ReadonlySet<string>): Promise<Functions> {
  const names = functionNames(tree.entries);
  const entries = new Map(tree.entries);
  const real = new Map<string, string>();
  for (const [name, path] of names) real.set(name, realDirectory(tree.entries, name, path));
  const distinct = [...new Set(real.values())];
  if (distinct.length > MOST_FUNCTIONS) {
    throw invalidOutput(`it has ${distinct.length} functions; the most is ${MOST_FUNCTIONS}`);
  }
  const sizes = sizesOf(tree.entries);
  const facts = new Map<string, Omit<BuiltFunction, "path" | "prerender">>();
  await inParallel(distinct, 16, async (directory) => {
    const name = directory.slice(FUNCTIONS.length).replace(/\.func$/, "");
    facts.set(
      directory,
      await readFunction({ tree, entries, name, directory, own: sizes.get(directory) ?? 0 }),
    );
  });
  if (entries.size > MOST_FILES)
    throw invalidOutput(`it has ${entries.size} files; the most is ${MOST_FILES}`);
  assertLinksStayInside(entries);
  const prerendered = await readPrerenders(tree, new Set(names.keys()));
  const functions = [...real].slice(0, MOST_SHOWN).flatMap(([path, directory]): BuiltFunction[] => {
    const own = facts.get(directory);
    if (!own) return [];
    const type = middleware.has(path) ? "middleware" : own.type;
    return [{ ...own, path, type, prerender: prerendered.has(path) }];
  });
  return { functions, entries };
}

/** By name, where the `.func` directory (or the link in its place) is. */
function functionNames(entries: ReadonlyMap<string, OutputEntry>): Map<string, string> {
  const names = new Map<string, string>();
  for (const path of entries.keys()) {
    // The outermost one: a function's own files may have any name.
    const name = path.startsWith(FUNCTIONS)
      ? /^(.+?)\.func(\/|$)/.exec(path.slice(FUNCTIONS.length))?.[1]
      : undefined;
    if (name !== undefined) names.set(name, `${FUNCTIONS}${name}.func`);
  }
  return new Map([...names].sort());
}

function realDirectory(entries: ReadonlyMap<string, OutputEntry>, name: string, path: string): string {
  const real = realPathIn(entries, path);
  if (real === null || !real.startsWith(FUNCTIONS) || !real.endsWith(".func")) {
    throw invalidOutput(`the function ${name} is a link that leads to no function of this output`);
  }
  return real;
}

/** Bytes below every `.func` directory. */
function sizesOf(entries: ReadonlyMap<string, OutputEntry>): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const [path, entry] of entries) {
    const end = path.startsWith(FUNCTIONS) ? path.indexOf(".func/", FUNCTIONS.length) : -1;
    if (end < 0 || entry.kind !== "file") continue;
    const directory = path.slice(0, end + ".func".length);
    sizes.set(directory, (sizes.get(directory) ?? 0) + entry.size);
  }
  return sizes;
}

type Reading = {
  readonly tree: OutputTree;
  /** Gets the repository's files that the function needs. */
  readonly entries: Map<string, OutputEntry>;
  readonly name: string;
  readonly directory: string;
  /** Bytes in its own directory. */
  readonly own: number;
};

async function readFunction(reading: Reading): Promise<Omit<BuiltFunction, "path" | "prerender">> {
  const { tree, name, directory } = reading;
  const file = `functions/${name}.func/.vc-config.json`;
  const text = await readText(tree.entries, `${directory}/.vc-config.json`, file);
  if (text === null) throw invalidOutput(`the function ${name} has no .vc-config.json`);
  const json = parseJson(file, text);
  const runtime = runtimeOf(name, json);
  const edge = runtime === "edge" ? checked(file, EdgeFunction, json) : null;
  const node = edge ? null : checked(file, NodeFunction, json);
  const map = (edge ?? node)?.filePathMap ?? {};
  const size = reading.own + (await takeFromRepository(reading, map));
  if (size > MOST_FUNCTION_BYTES) {
    const [is, most] = [mebibytes(size), mebibytes(MOST_FUNCTION_BYTES)];
    throw invalidOutput(
      `the function ${name} has ${is} of files; the most is ${most}, as on Vercel`,
      "Leave out what it does not need at run time (`excludeFiles`, `outputFileTracingExcludes`).",
    );
  }
  const bundle = { entries: tree.entries, directory, map };
  if (node) assertThere(bundle, name, "handler", node.handler, ["", ".js", ".mjs", ".cjs"]);
  if (edge) assertThere(bundle, name, "entrypoint", edge.entrypoint, [""]);
  for (const { path } of edge?.assets ?? []) assertThere(bundle, name, "asset", path, [""]);
  const maxDuration = typeof node?.maxDuration === "number" ? node.maxDuration : null;
  return { type: edge ? "edge" : "lambda", runtime, size, memory: node?.memory ?? null, maxDuration };
}

/** @throws BuildFailure for a runtime that is not here. */
function runtimeOf(name: string, json: unknown): string {
  const runtime = (json as { runtime?: unknown } | null)?.runtime;
  if (runtime === "edge" || (typeof runtime === "string" && /^nodejs\d+\.x$/.test(runtime))) return runtime;
  const shown = typeof runtime === "string" ? `the runtime "${runtime.slice(0, 60)}"` : "no runtime";
  throw invalidOutput(
    `the function ${name} has ${shown}; functions for Node.js (nodejs24.x) and edge functions run here`,
    "Remove the function, write it for Node.js, or run it as a service of its own beside the site.",
  );
}

/** Adds the repository's files that a function names in `filePathMap`. Returns their bytes. */
async function takeFromRepository(reading: Reading, map: Readonly<Record<string, string>>): Promise<number> {
  const { tree, entries, name } = reading;
  let size = 0;
  await inParallel(Object.entries(map), 16, async ([inBundle, inRepository]) => {
    const path = plainPath(inRepository);
    if (path === null || plainPath(inBundle) === null) {
      const which = path === null ? inRepository : inBundle;
      throw invalidOutput(`the function ${name} maps the file ${quote(which)}, which is outside`);
    }
    const known = entries.get(path);
    const entry = known ?? (await tree.outside(path));
    if (!entry) {
      throw invalidOutput(
        `the function ${name} needs the file ${quote(path)}, which is not in the deployment`,
        "Build and deploy in the same place, and let .vercelignore keep nothing that functions need.",
      );
    }
    if (!known) entries.set(path, entry);
    if (entry.kind === "file") size += entry.size;
  });
  return size;
}

/** In its normal form; null when it is absolute or leads outside. */
function plainPath(path: string): string | null {
  if (path.startsWith("/") || /[\0\\]/.test(path)) return null;
  const normal = posix.normalize(path);
  return normal === "." || normal === ".." || normal.startsWith("../") ? null : normal.replace(/\/$/, "");
}

function assertThere(
  bundle: {
    entries: ReadonlyMap<string, OutputEntry>;
    directory: string;
    map: Readonly<Record<string, string>>;
  },
  name: string,
  what: string,
  path: string,
  endings: readonly string[],
): void {
  const plain = plainPath(path);
  const there = endings.some((ending) => {
    const candidate = `${plain}${ending}`;
    if (Object.hasOwn(bundle.map, candidate)) return true;
    const real = realPathIn(bundle.entries, `${bundle.directory}/${candidate}`);
    return real !== null && bundle.entries.get(real)?.kind === "file";
  });
  if (plain !== null && there) return;
  throw invalidOutput(`the function ${name} has the ${what} ${quote(path)}, which is not among its files`);
}

/** The names that have a prerender configuration; each must belong to a function, and its fallback must be there. */
async function readPrerenders(tree: OutputTree, functions: ReadonlySet<string>): Promise<Set<string>> {
  const names: string[] = [];
  for (const path of tree.entries.keys()) {
    if (!path.startsWith(FUNCTIONS) || path.includes(".func/")) continue;
    const name = /^(.+)\.prerender-config\.json$/.exec(path.slice(FUNCTIONS.length))?.[1];
    if (name !== undefined) names.push(name);
  }
  await inParallel(names, 16, async (name) => {
    const file = `functions/${name}.prerender-config.json`;
    if (!functions.has(name)) throw invalidOutput(`${file} belongs to no function`);
    const text = await readText(tree.entries, `${OUTPUT_DIRECTORY}/${file}`, file);
    const { fallback } = checked(file, PrerenderConfig, parseJson(file, text ?? ""));
    const named = typeof fallback === "string" ? fallback : fallback?.fsPath;
    if (named === undefined) return;
    const real = realPathIn(tree.entries, posix.join(FUNCTIONS, posix.dirname(name), named));
    if (real?.startsWith(FUNCTIONS) && tree.entries.get(real)?.kind === "file") return;
    throw invalidOutput(`${file} has the fallback ${quote(named)}, which is not beside it`);
  });
  return new Set(names);
}

/** Nothing that is written may lead out of what is written, nor lie below a link or a file. */
function assertLinksStayInside(entries: ReadonlyMap<string, OutputEntry>): void {
  const folders = new Set<string>();
  for (const [path, entry] of entries) {
    if (entry.kind === "link") {
      const real = realPathIn(entries, path);
      const boundary = path.startsWith(`${OUTPUT_DIRECTORY}/`) ? `${OUTPUT_DIRECTORY}/` : "";
      if (!real?.startsWith(boundary)) throw invalidOutput(`${quote(path)} is a link that leads outside`);
    }
    for (
      let folder = posix.dirname(path);
      folder !== "." && !folders.has(folder);
      folder = posix.dirname(folder)
    ) {
      folders.add(folder);
    }
  }
  for (const folder of folders) {
    if (!entries.has(folder)) continue;
    throw invalidOutput(`${quote(folder)} is a file or a link, and there are files below it`);
  }
}

async function readText(
  entries: ReadonlyMap<string, OutputEntry>,
  path: string,
  file: string,
): Promise<string | null> {
  const real = realPathIn(entries, path);
  const entry = real === null ? undefined : entries.get(real);
  if (entry?.kind !== "file") return null;
  if (entry.size > MOST_CONFIG_BYTES) {
    throw invalidOutput(`${file} has ${mebibytes(entry.size)}; the most is ${mebibytes(MOST_CONFIG_BYTES)}`);
  }
  return readFile(entry.location, "utf8");
}

function quote(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
