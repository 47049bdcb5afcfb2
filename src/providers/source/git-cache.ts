import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCodeOf } from "../../foundation/errors.ts";
import { type GitOptions, git } from "./git-run.ts";

export type GitCache = {
  /** Runs `act` with the URL's bare repository to itself; makes it when it is not there. */
  use<T>(url: string, signal: AbortSignal, act: (dir: string) => Promise<T>): Promise<T>;
  readDigests(dir: string, sha: string): Promise<Map<string, string> | null>;
  writeDigests(dir: string, sha: string, digests: ReadonlyMap<string, string>): Promise<void>;
};

/** Repositories kept. The least recently used ones make room; each is fetched anew when it is wanted again. */
const MAX_REPOSITORIES = 20;
const USED = "signalbox-used";
const INIT_TIMEOUT_MS = 30_000;

/** Bare repositories in `cacheDir`, one for each URL, each used by one caller at a time. */
export function createCache(options: GitOptions): GitCache {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async use(url, signal, act) {
      const name = `${createHash("sha256").update(url).digest("hex").slice(0, 32)}.git`;
      const before = tails.get(name) ?? Promise.resolve();
      const turn = before.then(async () => {
        signal.throwIfAborted();
        const dir = await ensureRepository(options, name, signal);
        await evict(options.cacheDir, new Set(tails.keys()));
        return act(dir);
      });
      const settled = turn.catch(() => {});
      tails.set(name, settled);
      try {
        return await turn;
      } finally {
        if (tails.get(name) === settled) tails.delete(name);
      }
    },
    async readDigests(dir, sha) {
      try {
        return new Map(JSON.parse(await readFile(digestsFile(dir, sha), "utf8")) as [string, string][]);
      } catch (error) {
        if (errorCodeOf(error) === "ENOENT") return null;
        throw error;
      }
    },
    async writeDigests(dir, sha, digests) {
      const file = digestsFile(dir, sha);
      await writeFile(`${file}.part`, JSON.stringify([...digests]));
      await rename(`${file}.part`, file);
    },
  };
}

function digestsFile(dir: string, sha: string): string {
  return join(dir, `signalbox-digests-${sha}.json`);
}

async function ensureRepository(options: GitOptions, name: string, signal: AbortSignal): Promise<string> {
  const dir = join(options.cacheDir, name);
  await mkdir(dir, { recursive: true });
  // Harmless on a repository that is there, and completes one whose making was cut off.
  const args = ["init", "--quiet", "--bare", "--template=", "."];
  await git({ options, args, cwd: dir, signal, timeoutMs: INIT_TIMEOUT_MS, address: null });
  // Its time is the last use, for `evict`: git's own writes do not always touch the folder.
  await writeFile(join(dir, USED), "");
  return dir;
}

async function evict(cacheDir: string, busy: ReadonlySet<string>): Promise<void> {
  const names = (await readdir(cacheDir)).filter((name) => name.endsWith(".git"));
  if (names.length <= MAX_REPOSITORIES) return;
  const idle = names.filter((name) => !busy.has(name));
  const used = await Promise.all(
    idle.map(async (name) => ({ name, at: (await stat(join(cacheDir, name, USED))).mtimeMs })),
  );
  used.sort((a, b) => a.at - b.at);
  for (const { name } of used.slice(0, names.length - MAX_REPOSITORIES)) {
    await rm(join(cacheDir, name), { recursive: true, force: true });
  }
}
