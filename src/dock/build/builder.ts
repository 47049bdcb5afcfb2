import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import type { Clock } from "../../foundation/clock.ts";
import { AppError, errorCodeOf, messageOf } from "../../foundation/errors.ts";
import type { Ids } from "../../foundation/ids.ts";
import type { Log } from "../../foundation/log.ts";
import type { Route } from "../../gateway/snapshot.ts";
import { OUTPUT_SERVER } from "../output/command.ts";
import { ProcessFamily } from "../run/process-family.ts";
import type { FileStore } from "../store/store.ts";
import { artifactKey, ownKey, ownTexts } from "./artifact-key.ts";
import { type Artifacts, createArtifacts } from "./artifacts.ts";
import { type Builder, BuildFailure, type BuildRequest, type BuildResult } from "./build.ts";
import { type BuildLog, createBuildLog } from "./build-log.ts";
import { readBuildOutput } from "./build-output.ts";
import { type BuildCache, createBuildCache, folderName } from "./cache.ts";
import { chooseBuilder } from "./choose-builder.ts";
import { BUILD_MARKER } from "./command-env.ts";
import { findOutput } from "./find-output.ts";
import type { BuiltFunction } from "./functions.ts";
import type { BuildLimits } from "./limits.ts";
import { composeManifest, type ServedFile, servedAsIs } from "./manifest.ts";
import type { CronJob } from "./output-config.ts";
import {
  OUTPUT_DIRECTORY,
  type OutputEntry,
  type OutputTree,
  outputInStore,
  outputOnDisk,
} from "./output-tree.ts";
import { BUILD_OUTPUT, type Plan, planBuild, rootDirectoryOf } from "./plan.ts";
import { canceled } from "./run-command.ts";
import { type SourceTree, sourceTree } from "./source-tree.ts";
import { isServed } from "./static-path.ts";
import { sourcesOfDirectory, sourcesOfTree } from "./static-source.ts";
import { assertSafeTree } from "./tree-paths.ts";
import { mentions, vercelBuild } from "./vercel-build.ts";
import { type VercelCli, vercelCliAt } from "./vercel-cli.ts";
import { readVercelJson, settingsWith, siteConfig, type VercelJson } from "./vercel-json.ts";
import { buildInWorkshop, detached } from "./workspace.ts";
import { writeOutput } from "./write-output.ts";

export type BuilderOptions = {
  /** Absolute. Artifacts, caches and work directories are below it. */
  readonly dir: string;
  readonly store: FileStore;
  readonly limits: BuildLimits;
  /** Proxy and certificate settings that commands need to reach a registry. */
  readonly networkEnv: Readonly<Record<string, string>>;
  /** Where commands find programs, after those of the build itself. */
  readonly path: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** Absolute path of the official `vercel` program, which builds what it can; null or absent: the dock builds all. */
  readonly vercelCli?: string | null;
  /** Bytes that the dependency and framework caches of all projects may hold after `collect`. Default 2 GB. */
  readonly cacheBytes?: number;
};

/** `digests`: of every artifact on disk, so that a collection of the store spares what a later build would reuse. */
export type DockBuilder = Builder & { digests(): Promise<Set<string>> };

const CACHE_BYTES = 2_000_000_000;

type Shop = BuilderOptions & {
  artifacts: Artifacts;
  cache: BuildCache;
  active: Map<string, BuildRequest>;
  cli: VercelCli | null;
};

export function createBuilder(options: BuilderOptions): DockBuilder {
  const { dir, path, clock, ids } = options;
  const artifacts = createArtifacts(join(dir, "artifacts"));
  const cache = createBuildCache({ directory: join(dir, "cache"), path, clock, ids });
  const cli = options.vercelCli ? vercelCliAt(options.vercelCli) : null;
  const shop: Shop = { ...options, artifacts, cache, active: new Map(), cli };
  return {
    lookup: async (request) => (request.force ? null : artifacts.find(keyOf(shop, request).key, clock.now())),
    build: (request, { signal, onEvent }) => build(shop, request, signal, onEvent),
    digests: () => artifacts.digests(),
    async collect(retained, olderThan) {
      await removeStrayWork(shop);
      const projects = new Set([...shop.active.values()].map((request) => request.projectId));
      const old = await artifacts.collect(retained, olderThan);
      const stale = await cache.collect(options.cacheBytes ?? CACHE_BYTES, projects);
      return { removed: old.removed + stale.removed, bytes: old.bytes + stale.bytes };
    },
  };
}

function keyOf(shop: Shop, request: BuildRequest): { key: string; cli: VercelCli | null } {
  const cli = chooseBuilder(request, shop.cli);
  return { key: artifactKey(request, shop.store.directory, cli), cli };
}

async function build(
  shop: Shop,
  request: BuildRequest,
  signal: AbortSignal,
  onEvent: Parameters<Builder["build"]>[1]["onEvent"],
): Promise<BuildResult> {
  const { clock, artifacts } = shop;
  const { key, cli } = keyOf(shop, request);
  const earlier = request.force ? null : await artifacts.find(key, clock.now());
  if (earlier) return { artifact: earlier, reused: true };
  const buildId = shop.ids("bld");
  const work = join(shop.dir, "work", `${folderName(request.deploymentId)}.${buildId}`);
  const log = createBuildLog({ env: request.env, clock, onEvent });
  shop.active.set(buildId, request);
  try {
    await mkdir(work, { recursive: true });
    return await produce({ shop, request, signal, log, key, buildId, work, cli });
  } catch (error) {
    throw asFailure(error, signal, shop.log);
  } finally {
    await rm(work, { recursive: true, force: true });
    shop.active.delete(buildId);
  }
}

type Job = {
  readonly shop: Shop;
  readonly request: BuildRequest;
  readonly signal: AbortSignal;
  readonly log: BuildLog;
  readonly key: string;
  readonly buildId: string;
  readonly work: string;
  /** Builds it; null: the dock does. */
  readonly cli: VercelCli | null;
};

/** What is served, before it is in the store. `server`: the tree to keep and the command to run in it. */
type Product = {
  readonly files: readonly ServedFile[];
  readonly routes: readonly Route[];
  readonly framework: string | null;
  readonly server: { tree: string; directory: string; command: string } | null;
  readonly functions?: readonly BuiltFunction[];
  readonly crons?: readonly CronJob[];
  /** True: it names its deployment, and would be wrong for any other. */
  readonly own?: boolean;
};

async function produce(job: Job): Promise<BuildResult> {
  const { shop, request, signal, key, buildId } = job;
  const product = await makeProduct(job);
  const composed = await composeManifest({
    files: product.files,
    routes: product.routes,
    server: product.server !== null,
    store: shop.store,
    knownEncodings: request.force ? {} : await shop.cache.readEncodings(request.projectId),
    signal,
  });
  signal.throwIfAborted();
  await shop.cache.writeEncodings(request.projectId, composed.encodings);
  return shop.artifacts.add({
    key: product.own ? ownKey(key, request) : key,
    buildId,
    framework: product.framework,
    manifest: composed.manifest,
    digests: composed.digests,
    sizeBytes: composed.sizeBytes,
    server: product.server,
    functions: product.functions ?? [],
    crons: product.crons ?? [],
    force: request.force,
  });
}

async function makeProduct(job: Job): Promise<Product> {
  const { shop, request } = job;
  assertSafeTree(request.files);
  const root = rootDirectoryOf(request.settings);
  const whole = sourceTree(request.files, "", shop.store);
  const tree = root === "" ? whole : sourceTree(request.files, root, shop.store);
  const ready = [root, ""].find((place) => whole.has(posix.join(place, BUILD_OUTPUT, "config.json")));
  if (request.prebuilt || ready !== undefined) {
    return productOfBuildOutput(job, await outputInStore(request.files, ready ?? "", shop.store));
  }
  if (tree.files.length === 0) throw nothingThere(root);
  if (job.cli) return productOfVercelBuild(job, job.cli, tree, root);
  const vercelJson = await readVercelJson(tree);
  const settings = settingsWith(request.settings, vercelJson);
  const plan = await planBuild(tree, settings, request.env, (path) => root !== "" && whole.has(path));
  const idle = plan.server === null && plan.build === null && !settings.installCommand?.trim();
  const own = { ...job, request: { ...request, settings } };
  const product = idle ? await productOfTree(own, plan, tree) : await productOfBuild(own, plan, tree, root);
  return plan.server === null ? withVercelJson(own, product, vercelJson) : product;
}

/** The site as the Build Output that its `vercel.json` makes of it, or as it is where there is nothing of that kind. */
async function withVercelJson(job: Job, product: Product, json: VercelJson | null): Promise<Product> {
  if (product.server) return product;
  const paths = product.files.map((file) => file.urlPath.slice(1));
  const config = siteConfig(json, paths, product.routes);
  if (config === null) return product;
  const location = join(job.work, "config.json");
  await writeFile(location, JSON.stringify(config));
  const file = { kind: "file", executable: false } as const;
  const entries = new Map<string, OutputEntry>(
    product.files.map(({ urlPath, source: { size, sha1, location } }) => [
      `${OUTPUT_DIRECTORY}/static${urlPath}`,
      { ...file, size, sha1, location },
    ]),
  );
  entries.set(`${OUTPUT_DIRECTORY}/config.json`, { ...file, size: 0, sha1: null, location });
  const made = await productOfBuildOutput(job, { entries, outside: async () => null });
  return { ...made, framework: product.framework };
}

/** Files and routes for the gateway, or a tree of its own for the output server, which everything is sent to. */
async function productOfBuildOutput({ work, log }: Job, tree: OutputTree): Promise<Product> {
  const output = await readBuildOutput(tree);
  const { framework, functions, crons } = output;
  if (output.kind === "static") {
    return { files: output.files, routes: output.routes, framework, server: null, functions, crons };
  }
  const directory = join(work, "output");
  await mkdir(directory, { recursive: true });
  await writeOutput(output.entries, directory);
  log.line("stdout", `The output has ${functions.length} functions in ${output.entries.size} files.`);
  const server = { tree: directory, directory: "", command: OUTPUT_SERVER };
  return { files: [], routes: [], framework, server, functions, crons };
}

async function productOfVercelBuild(
  job: Job,
  cli: VercelCli,
  tree: SourceTree,
  root: string,
): Promise<Product> {
  const { request } = job;
  const directory = await vercelBuild({ ...surroundings(job), root, tree, cli });
  const output = await outputOnDisk(directory, "");
  const product = await productOfBuildOutput(job, output);
  // Looked for in what the output server gets, which has the files that functions take from the tree.
  const written = product.server ? await outputOnDisk(product.server.tree, "", ".") : output;
  return { ...product, own: await mentions(written.entries, ownTexts(request)) };
}

function surroundings(job: Job) {
  const { shop, request, buildId, signal, log, work } = job;
  const { store, cache, limits, networkEnv, path, clock } = shop;
  const deadlineMs = clock.monotonicMs() + limits.timeoutMs;
  return { store, cache, limits, networkEnv, path, clock, log, signal, deadlineMs, request, buildId, work };
}

/** A site that is ready as it is: its files are in the store already, so nothing is written out. */
async function productOfTree({ shop, log }: Job, plan: Plan, tree: SourceTree): Promise<Product> {
  const { directory, from } = plan.output;
  const wholeTree = directory === ".";
  const sources = await sourcesOfTree(tree, directory, shop.store);
  const files = sources.filter((source) => isServed(source.path, wholeTree)).map(servedAsIs);
  const pointless =
    wholeTree && plan.packageJson !== null && !files.some((file) => file.urlPath === "/index.html");
  if (files.length === 0 || (pointless && from !== "settings")) throw nothingToServe(tree, directory);
  log.line("stdout", `Nothing to build: ${files.length} files are served as they are.`);
  return { files, routes: plan.routes, framework: plan.framework?.slug ?? null, server: null };
}

async function productOfBuild(job: Job, plan: Plan, tree: SourceTree, root: string): Promise<Product> {
  const { log, work } = job;
  const directory = await buildInWorkshop({ ...surroundings(job), root, tree, plan });
  const framework = plan.framework?.slug ?? null;
  const boundary = join(work, "tree");
  const skipped = (file: string) => log.line("stderr", `Not served, it leads out of the build: ${file}`);
  const configText = await readFile(join(directory, BUILD_OUTPUT, "config.json"), "utf8").catch(() => null);
  if (configText !== null && plan.server === null) {
    const product = await productOfBuildOutput(job, await outputOnDisk(boundary, root));
    return { ...product, framework: product.framework ?? framework };
  }
  const output = await findOutput(plan, directory);
  const wholeTree = output === directory;
  const found = output === null ? [] : await sourcesOfDirectory(output, boundary, skipped);
  const served = found.filter((source) => isServed(source.path, wholeTree));
  const sources = plan.server === null ? served : await detached(served, work);
  const server = plan.server === null ? null : { tree: boundary, directory: root, command: plan.server };
  return { files: sources.map(servedAsIs), routes: plan.routes, framework, server };
}

/** Processes and directories of builds whose dock was killed. */
async function removeStrayWork(shop: Shop): Promise<void> {
  const directory = join(shop.dir, "work");
  for (const name of await readdir(directory).catch(() => [])) {
    const buildId = name.slice(name.lastIndexOf(".") + 1);
    if (shop.active.has(buildId)) continue;
    await new ProcessFamily(`${BUILD_MARKER}=${buildId}`).kill(shop.clock);
    await rm(join(directory, name), { recursive: true, force: true });
  }
}

function asFailure(error: unknown, signal: AbortSignal, log: Log): BuildFailure {
  if (error instanceof BuildFailure) return error;
  if (signal.aborted) return canceled();
  log.error({ err: error }, "a build broke");
  const code = errorCodeOf(error instanceof AppError ? error.cause : error);
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new BuildFailure(
      "BUILD_OUTPUT_TOO_LARGE",
      "The disk of this machine is full, so the build could not be finished.",
      "Free space where Signalbox keeps its state, then deploy again.",
    );
  }
  return new BuildFailure(
    "BUILD_FAILED",
    `The build could not be finished: ${messageOf(error)}.`,
    "This is no fault of your code. Deploy again; the dock's log has the details.",
  );
}

function nothingThere(root: string): BuildFailure {
  return new BuildFailure(
    "BUILD_INVALID_CONFIG",
    root === "" ? "The deployment has no files." : `There are no files in the root directory "${root}".`,
    root === "" ? "Deploy a folder with files in it." : "Correct `build.root` in signalbox.yaml.",
  );
}

function nothingToServe(tree: SourceTree, directory: string): BuildFailure {
  const top = [...new Set(tree.files.map((file) => file.path.split("/")[0]))].slice(0, 12).join(", ");
  const where = directory === "." ? "no index.html" : `nothing to serve in "${directory}"`;
  return new BuildFailure(
    "BUILD_NO_OUTPUT",
    `There is ${where}, no \`build\` script and no \`start\` script; there are: ${top}.`,
    "Add a `start` script for a server, a `build` script, or an index.html; or set `build.output` in signalbox.yaml.",
  );
}
