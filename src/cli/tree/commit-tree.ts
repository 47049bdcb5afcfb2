import { createHash } from "node:crypto";
import { openBlobs } from "./blobs.ts";
import { openDigestCache } from "./digest-cache.ts";
import { tryGit } from "./git.ts";
import { isNeverSent } from "./ignore.ts";
import { CONFIG_FILE, MODE, type Tree, type TreeFile, type TreeProgress, totalBytes } from "./tree.ts";
import { verified } from "./working-tree.ts";

type Entry = { readonly path: string; readonly oid: string; readonly size: number; readonly mode: number };

/**
 * The files of a commit, read from git's objects: the working tree is neither looked at nor touched. `root` may
 * be a folder inside the repository; then only what lies in it is sent. Submodules are left out.
 */
export async function readCommitTree(options: {
  root: string;
  commit: string;
  cacheDir: string;
  onProgress: TreeProgress;
}): Promise<Tree> {
  const { root, commit } = options;
  const listing = await tryGit(root, ["ls-tree", "-r", "-z", "-l", commit, "."]);
  const entries = parseListing(listing ?? "").filter((entry) => !isNeverSent(entry.path));
  const cache = openDigestCache(options.cacheDir, root);
  const blobs = openBlobs(root);
  const oids = new Map<string, string>();
  const files: TreeFile[] = [];
  for (const [index, entry] of entries.entries()) {
    if (index % 256 === 0) options.onProgress(index, entries.length);
    let sha1 = cache.findBlob(entry.oid);
    if (sha1 === null) {
      sha1 = createHash("sha1")
        .update(await blobs.read(entry.oid))
        .digest("hex");
      cache.rememberBlob(entry.oid, sha1);
    }
    oids.set(sha1, entry.oid);
    files.push({ path: entry.path, sha1, size: entry.size, mode: entry.mode });
  }
  cache.save();
  const config = entries.find((entry) => entry.path === CONFIG_FILE);
  return {
    files,
    bytes: totalBytes(files),
    config: config === undefined ? null : (await blobs.read(config.oid)).toString("utf8"),
    open: (file) => verified(blobs.stream(oids.get(file.sha1) ?? ""), file),
    close: () => blobs.close(),
  };
}

/** Lines of `git ls-tree -r -z -l`: `<mode> <type> <oid> <size>\t<path>`. */
export function parseListing(listing: string): Entry[] {
  return listing.split("\0").flatMap((line) => {
    const match = /^(\d+) blob ([0-9a-f]+) +(\d+)\t(.*)$/s.exec(line);
    if (match === null) return [];
    const [, mode = "", oid = "", size = "", path = ""] = match;
    return [{ path, oid, size: Number(size), mode: modeOf(Number.parseInt(mode, 8)) }];
  });
}

function modeOf(mode: number): number {
  if (mode === MODE.symlink) return MODE.symlink;
  return mode === MODE.executable ? MODE.executable : MODE.file;
}
