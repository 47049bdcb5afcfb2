import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "../../foundation/clock.ts";
import type { Ids } from "../../foundation/ids.ts";
import type { EncodingIndex } from "./encodings.ts";
import { directorySize } from "./limits.ts";

const run = promisify(execFile);

/** Where frameworks and bundlers keep what makes their next build faster. */
const FRAMEWORK_CACHES = [
  ".next/cache",
  "node_modules/.cache",
  "node_modules/.vite",
  ".nuxt",
  ".cache",
  ".astro",
];

export type BuildCache = {
  /** HOME and npm's cache for a project's builds; made when they are not there. */
  places(project: string): Promise<{ home: string; npm: string }>;
  /** Puts `node_modules` of an earlier install of exactly these inputs in place. */
  restoreDependencies(project: string, key: string, directory: string): Promise<boolean>;
  saveDependencies(project: string, key: string, directory: string): Promise<void>;
  restoreFrameworkCaches(project: string, framework: string, directory: string): Promise<number>;
  saveFrameworkCaches(project: string, framework: string, directory: string): Promise<void>;
  readEncodings(project: string): Promise<EncodingIndex>;
  writeEncodings(project: string, index: EncodingIndex): Promise<void>;
  /** Removes what was used longest ago until `limitBytes` hold the rest. Projects in `busy` are left alone. */
  collect(limitBytes: number, busy: ReadonlySet<string>): Promise<{ removed: number; bytes: number }>;
};

/** Caches in `<directory>/<project>/`. Every entry is complete from the moment it can be found (rename). */
export function createBuildCache(options: {
  directory: string;
  path: string;
  clock: Clock;
  ids: Ids;
}): BuildCache {
  const { directory, path, clock, ids } = options;
  const exclusive = createLanes();
  const place = (project: string, ...rest: string[]) => join(directory, folderName(project), ...rest);
  const copy = (from: string, to: string) => copyTree(from, to, path);
  const replace = async (from: string, to: string) => {
    const fresh = `${to}.${ids("new")}`;
    await mkdir(dirname(to), { recursive: true });
    await copy(from, fresh);
    await rm(to, { recursive: true, force: true });
    await rename(fresh, to);
  };
  return {
    async places(project) {
      const [home, npm] = [place(project, "home"), place(project, "npm")];
      for (const folder of [home, npm]) await mkdir(folder, { recursive: true });
      return { home, npm };
    },
    restoreDependencies: (project, key, to) =>
      exclusive(project, async () => {
        const entry = place(project, "dependencies", key);
        if (!(await exists(entry))) return false;
        await copy(entry, join(to, "node_modules"));
        await utimes(entry, clock.now(), clock.now());
        return true;
      }),
    saveDependencies: (project, key, from) =>
      exclusive(project, async () => {
        const entry = place(project, "dependencies", key);
        if ((await exists(entry)) || !(await exists(join(from, "node_modules")))) return;
        await replace(join(from, "node_modules"), entry);
        await utimes(entry, clock.now(), clock.now());
      }),
    restoreFrameworkCaches: (project, framework, to) =>
      exclusive(project, async () => {
        let restored = 0;
        for (const cache of FRAMEWORK_CACHES) {
          const entry = place(project, "framework", framework, folderName(cache));
          if (!(await exists(entry)) || (await exists(join(to, cache)))) continue;
          await mkdir(dirname(join(to, cache)), { recursive: true });
          await copy(entry, join(to, cache));
          restored += 1;
        }
        return restored;
      }),
    saveFrameworkCaches: (project, framework, from) =>
      exclusive(project, async () => {
        for (const cache of FRAMEWORK_CACHES) {
          if (!(await exists(join(from, cache)))) continue;
          await replace(join(from, cache), place(project, "framework", framework, folderName(cache)));
        }
      }),
    readEncodings: (project) => readEncodings(place(project, ENCODINGS)),
    writeEncodings: (project, index) => writeEncodings(place(project, ENCODINGS), ids, index),
    collect: (limitBytes, busy) => collectCaches(directory, limitBytes, new Set([...busy].map(folderName))),
  };
}

const ENCODINGS = "encodings.json";

async function readEncodings(path: string): Promise<EncodingIndex> {
  const text = await readFile(path, "utf8").catch(() => "{}");
  return JSON.parse(text) as EncodingIndex;
}

async function writeEncodings(path: string, ids: Ids, index: EncodingIndex): Promise<void> {
  const fresh = `${path}.${ids("new")}`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(fresh, JSON.stringify(index));
  await rename(fresh, path);
}

/** Runs work on the same project one after the other: a copy must not meet the removal of what it copies. */
function createLanes() {
  const lanes = new Map<string, Promise<unknown>>();
  return async <Value>(name: string, work: () => Promise<Value>): Promise<Value> => {
    const mine = (lanes.get(name) ?? Promise.resolve()).then(work, work);
    lanes.set(name, mine);
    try {
      return await mine;
    } finally {
      if (lanes.get(name) === mine) lanes.delete(name);
    }
  };
}

/** A copy with modes, times and links; shares blocks where the file system can. */
async function copyTree(from: string, to: string, path: string): Promise<void> {
  try {
    await run("cp", ["-a", "--reflink=auto", "--", from, to], { env: { PATH: path } });
  } catch {
    // Not every system's `cp` knows these options.
    await rm(to, { recursive: true, force: true });
    await cp(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  }
}

async function collectCaches(
  directory: string,
  limitBytes: number,
  busy: ReadonlySet<string>,
): Promise<{ removed: number; bytes: number }> {
  const entries: { path: string; usedAt: number; bytes: number }[] = [];
  for (const project of await list(directory)) {
    if (busy.has(project)) continue;
    for (const path of await entriesOf(join(directory, project))) {
      const facts = await stat(path).catch(() => null);
      if (facts) entries.push({ path, usedAt: facts.mtimeMs, bytes: await directorySize(path) });
    }
  }
  let total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  let removed = 0;
  let bytes = 0;
  for (const entry of entries.sort((a, b) => a.usedAt - b.usedAt)) {
    if (total <= limitBytes) break;
    await rm(entry.path, { recursive: true, force: true });
    total -= entry.bytes;
    bytes += entry.bytes;
    removed += 1;
  }
  return { removed, bytes };
}

/** What can be evicted by itself: every saved install, a framework's caches, npm's cache, the home directory. */
async function entriesOf(project: string): Promise<string[]> {
  const saved = await list(join(project, "dependencies"));
  const frameworks = await list(join(project, "framework"));
  return [
    ...saved.map((name) => join(project, "dependencies", name)),
    ...frameworks.map((name) => join(project, "framework", name)),
    join(project, "npm"),
    join(project, "home"),
  ];
}

/** A name as one folder's name, whatever is in it. */
export function folderName(name: string): string {
  if (/^[A-Za-z0-9][\w-]{0,99}$/.test(name)) return name;
  return `x${createHash("sha256").update(name).digest("hex").slice(0, 32)}`;
}

async function list(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}
