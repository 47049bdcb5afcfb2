import { createHash } from "node:crypto";
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BuildEvent, BuildRequest } from "../../src/dock/build/build.ts";
import { inParallel } from "../../src/dock/build/in-parallel.ts";
import { createBuilder, type DockBuilder } from "../../src/dock/build/index.ts";
import { createFileStore } from "../../src/dock/store/file-store.ts";
import type { FileStore, TreeFile } from "../../src/dock/store/store.ts";
import { systemClock } from "../../src/foundation/clock.ts";
import { randomIds } from "../../src/foundation/ids.ts";
import { silentLog } from "../../src/foundation/log.ts";

/** A directory for one test: `await using place = await temporaryDirectory()`. */
export async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "signalbox-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 10 }) };
}

/** The machine's settings that a build needs to reach a registry, as the configuration would pass them on. */
export const NETWORK_ENV: Record<string, string> = Object.fromEntries(
  ["NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "npm_config_registry"].flatMap((name) => {
    const value = process.env[name];
    return value ? [[name, value]] : [];
  }),
);

export const MACHINE_PATH = process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin";

export const WIDE_LIMITS = { timeoutMs: 300_000, memoryBytes: 8 * 2 ** 30, diskBytes: 8 * 2 ** 30 };

export type BuildPlace = { readonly dir: string; readonly store: FileStore; readonly builder: DockBuilder };

/** A real store and builder in `dir`. */
export async function buildPlace(
  dir: string,
  limits: Partial<typeof WIDE_LIMITS> = {},
  options: { cacheBytes?: number; vercelCli?: string } = {},
): Promise<BuildPlace> {
  const store = await createFileStore(join(dir, "store"), { clock: systemClock, ids: randomIds });
  const builder = createBuilder({
    dir,
    store,
    limits: { ...WIDE_LIMITS, ...limits },
    networkEnv: NETWORK_ENV,
    path: MACHINE_PATH,
    clock: systemClock,
    ids: randomIds,
    log: silentLog,
    ...options,
  });
  return { dir, store, builder };
}

/** Stores texts as the files of a tree. A value `-> target` makes a link. */
export async function treeOf(
  store: FileStore,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<TreeFile[]> {
  const entries = Object.entries(files);
  const tree = new Array<TreeFile>(entries.length);
  // Every file waits for the disk twice. One after another, thousands would take longer than what is tested with them.
  await inParallel(entries, 64, async ([path, content], at) => {
    const link = typeof content === "string" && content.startsWith("-> ") ? content.slice(3) : null;
    const bytes = Buffer.from(link ?? content);
    tree[at] = await storeBytes(store, path, bytes, link === null ? 0o100644 : 0o120000);
  });
  return tree;
}

/** Stores a directory as a tree, without what a deploy leaves out. */
export async function treeOfDirectory(store: FileStore, directory: string): Promise<TreeFile[]> {
  const tree: TreeFile[] = [];
  const walk = async (relative: string): Promise<void> => {
    for (const name of (await readdir(join(directory, relative))).sort()) {
      if (["node_modules", "dist", ".git"].includes(name)) continue;
      const path = relative === "" ? name : `${relative}/${name}`;
      const facts = await lstat(join(directory, path));
      if (facts.isDirectory()) await walk(path);
      else if (facts.isSymbolicLink()) {
        const target = Buffer.from(await readlink(join(directory, path)));
        tree.push(await storeBytes(store, path, target, 0o120000));
      } else {
        const bytes = await readFile(join(directory, path));
        tree.push(await storeBytes(store, path, bytes, facts.mode & 0o100 ? 0o100755 : 0o100644));
      }
    }
  };
  await walk("");
  return tree;
}

async function storeBytes(store: FileStore, path: string, bytes: Buffer, mode: number): Promise<TreeFile> {
  const sha1 = createHash("sha1").update(bytes).digest("hex");
  await store.put(sha1, bytes);
  return { path, sha1, size: bytes.length, mode };
}

let requests = 0;

/** A request to build this tree, as a new deployment of project `shop`. */
export function requestOf(files: readonly TreeFile[], changes: Partial<BuildRequest> = {}): BuildRequest {
  return {
    deploymentId: `dpl_${++requests}`,
    projectId: "shop",
    files,
    settings: {},
    env: {},
    prebuilt: false,
    force: false,
    ...changes,
  };
}

/** Builds and keeps what was logged. */
export async function runBuild(
  place: BuildPlace,
  build: BuildRequest,
  options: { signal?: AbortSignal; onEvent?: (event: BuildEvent) => void } = {},
) {
  const events: BuildEvent[] = [];
  const result = await place.builder.build(build, {
    signal: options.signal ?? new AbortController().signal,
    onEvent: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
  });
  return { ...result, events, text: events.map((event) => event.text).join("\n") };
}

/** One HTTP request over a unix socket. */
export function ask(
  socketPath: string,
  path = "/",
  options: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: string }> {
  const { method = "GET", body, headers = {} } = options;
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
