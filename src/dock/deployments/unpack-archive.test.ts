import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { create, Header } from "tar";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "../../../test/support/trees.ts";
import { systemClock } from "../../foundation/clock.ts";
import { randomIds } from "../../foundation/ids.ts";
import { createFileStore } from "../store/file-store.ts";
import type { FileStore, TreeFile } from "../store/store.ts";
import { type ArchiveLimits, unpackArchive } from "./unpack-archive.ts";

const sha1 = (bytes: Uint8Array | string) => createHash("sha1").update(bytes).digest("hex");
const storeIn = (path: string) =>
  createFileStore(join(path, "store"), { clock: systemClock, ids: randomIds });

/** An upload of these parts, as `--archive=tgz` names them. */
async function upload(store: FileStore, parts: readonly Buffer[]): Promise<TreeFile[]> {
  return Promise.all(
    parts.map(async (bytes, index) => {
      await store.put(sha1(bytes), bytes);
      const path = `.vercel/source.tgz.part${index + 1}`;
      return { path, sha1: sha1(bytes), size: bytes.length, mode: 0o100644 };
    }),
  );
}

type Entry = {
  path: string;
  body?: string | Buffer;
  type?: string;
  linkpath?: string;
  size?: number;
  mode?: number;
};

/** A tar with exactly these entries, whatever a well-behaved program would make of them. */
function tarOf(entries: readonly Entry[]): Buffer {
  const blocks = entries.flatMap(({ body = "", type = "File", mode = 0o644, ...rest }) => {
    const bytes = Buffer.from(body);
    const header = new Header({ mode, size: bytes.length, type, mtime: new Date(0), ...rest } as object);
    header.encode();
    return [header.block ?? Buffer.alloc(512), bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const unpacking = async (store: FileStore, tgz: Buffer, limits?: Partial<ArchiveLimits>) => {
  const defaults = { entries: 1_000, bytes: 2 ** 30, ratio: 200, freeBytes: 2 ** 20 };
  return unpackArchive(store, await upload(store, [tgz]), { ...defaults, ...limits });
};

describe("an archive", () => {
  test("in several parts becomes its files, by their digests, modes and links", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const source = join(place.path, "source");
    const large = Buffer.alloc(3 * 2 ** 20, "0123456789abcdef-");
    await mkdir(join(source, "deep/er"), { recursive: true });
    await writeFile(join(source, "index.html"), "hello");
    await writeFile(join(source, "deep/er/run.sh"), "#!/bin/sh\n", { mode: 0o755 });
    await writeFile(join(source, "large.bin"), large);
    await writeFile(join(source, "empty"), "");
    await symlink("../index.html", join(source, "deep/link.html"));
    const longName = `${"n".repeat(150)}.txt`;
    await writeFile(join(source, longName), "a name that needs an extended header");
    const file = join(place.path, "a.tgz");
    await create({ gzip: true, cwd: source, file }, await readdir(source));
    const tgz = await readFile(file);
    const cuts = [0, 100, Math.floor(tgz.length / 2), tgz.length];
    const parts = await upload(
      store,
      [0, 1, 2].map((n) => tgz.subarray(cuts[n], cuts[n + 1])),
    );
    const beside = { path: "beside.txt", sha1: sha1("hello"), size: 5, mode: 0o100644 };
    const tree = await unpackArchive(store, [...parts.reverse(), beside]);
    expect(tree.map(({ path, mode, size }) => [path, mode.toString(8), size])).toEqual([
      ["beside.txt", "100644", 5],
      ["deep/er/run.sh", "100755", 10],
      ["deep/link.html", "120000", 13],
      ["empty", "100644", 0],
      ["index.html", "100644", 5],
      ["large.bin", "100644", large.length],
      [longName, "100644", 36],
    ]);
    for (const entry of tree) expect(sha1(await readFile(store.path(entry.sha1)))).toBe(entry.sha1);
    expect(await readdir(join(store.directory, "tmp"))).toEqual([]);
  });

  test("that names a file twice has the last one, whichever is stored first", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const last = { path: "a", body: "last" };
    await store.put(sha1("last"), Buffer.from("last"));
    const tgz = gzipSync(tarOf([{ path: "a", body: Buffer.alloc(2 * 2 ** 20, "first ") }, last]));
    expect(await unpacking(store, tgz, { ratio: 2_000 })).toMatchObject([
      { path: "a", size: 4, sha1: sha1("last") },
    ]);
  });

  test("of many files is unpacked in full", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const entries = Array.from({ length: 300 }, (_, n) => ({ path: `f/${n}`, body: `file ${n % 50}` }));
    expect(await unpacking(store, gzipSync(tarOf(entries)))).toHaveLength(300);
  });

  test("is not looked for in other trees", async () => {
    await using place = await temporaryDirectory();
    const files = [{ path: "source.tgz.part1", sha1: sha1(""), size: 0, mode: 0o100644 }];
    expect(await unpackArchive(await storeIn(place.path), files)).toBe(files);
  });
});

describe("an archive that means harm is refused, and leaves nothing behind:", () => {
  test.each<[string, readonly Entry[], RegExp]>([
    ["an absolute path", [{ path: "/etc/cron.d/x", body: "x" }], /"\/etc\/cron\.d\/x" is not inside/],
    ["a path that leads up", [{ path: "a/../../x", body: "x" }], /is not a path inside/],
    ["a backslash", [{ path: "a\\..\\x", body: "x" }], /not inside/],
    ["an absolute link", [{ path: "l", type: "SymbolicLink", linkpath: "/etc" }], /link "l" leads outside/],
    ["a link that leads up", [{ path: "a/l", type: "SymbolicLink", linkpath: "../../x" }], /leads outside/],
    ["a hard link", [{ path: "h", type: "Link", linkpath: "/etc/shadow" }], /"h" is a Link/],
    ["a device", [{ path: "d", type: "CharacterDevice" }], /is a CharacterDevice/],
    ["a pipe", [{ path: "p", type: "FIFO" }], /is a FIFO/],
  ])("%s", async (_title, entries, message) => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const failing = unpacking(store, gzipSync(tarOf(entries)));
    await expect(failing).rejects.toMatchObject({
      code: "bad_request",
      message: expect.stringMatching(message),
    });
  });

  test("a bomb, before it is unpacked", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const tar = tarOf([{ path: "zeros", body: Buffer.alloc(64 * 2 ** 20) }]);
    const failing = unpacking(store, gzipSync(tar));
    await expect(failing).rejects.toMatchObject({ code: "too_large", message: /200 times/ });
    expect(await readdir(join(store.directory, "tmp"))).toEqual([]);
  });

  test("more bytes than are allowed, and more entries", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const tar = gzipSync(
      tarOf(Array.from({ length: 20 }, (_, n) => ({ path: `${n}`, body: "x".repeat(600) }))),
    );
    await expect(unpacking(store, tar, { bytes: 10_000 })).rejects.toMatchObject({ code: "too_large" });
    await expect(unpacking(store, tar, { entries: 19 })).rejects.toThrow(/more than 19 entries/);
  });

  test("a large file that is given up before the store has opened a file for it", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const tgz = gzipSync(tarOf([{ path: "a", body: Buffer.alloc(2 * 2 ** 20, "first ") }]));
    // An error that nobody listened to would end this process, as it would end the dock.
    await expect(unpacking(store, tgz)).rejects.toMatchObject({ code: "too_large" });
  });

  test("an archive in the archive that shows itself byte by byte", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const inner = gzipSync(tarOf([{ path: "a", body: Buffer.alloc(4 * 2 ** 20) }]));
    const parts = [inner.subarray(0, 1), inner.subarray(1)].map((part) => gzipSync(part));
    const limits = { entries: 1_000, bytes: 2 ** 20, ratio: 200, freeBytes: 2 ** 20 };
    await expect(unpackArchive(store, await upload(store, parts), limits)).rejects.toMatchObject({
      message: expect.stringContaining("another packed file"),
    });
  });

  test("an archive in the archive, which nobody would count", async () => {
    await using place = await temporaryDirectory();
    const inner = gzipSync(tarOf([{ path: "a", body: "a" }]));
    await expect(unpacking(await storeIn(place.path), gzipSync(inner))).rejects.toThrow(
      /another packed file/,
    );
  });

  test("one that is cut off, is no gzip, is no tar, or lacks a part", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const whole = gzipSync(tarOf([{ path: "a", body: Buffer.alloc(300_000, "noise") }]));
    await expect(unpacking(store, whole.subarray(0, 200))).rejects.toMatchObject({ code: "bad_request" });
    await expect(unpacking(store, Buffer.from("plain text"))).rejects.toMatchObject({ code: "bad_request" });
    await expect(unpacking(store, gzipSync(Buffer.alloc(2_000, "x")))).rejects.toMatchObject({
      code: "bad_request",
    });
    const [, second] = await upload(store, [whole.subarray(0, 100), whole.subarray(100)]);
    await expect(unpackArchive(store, second ? [second] : [])).rejects.toThrow(/part 1 of 1 is missing/);
  });

  test("a size in a header that is larger than the archive", async () => {
    await using place = await temporaryDirectory();
    const store = await storeIn(place.path);
    const tar = tarOf([{ path: "a", body: "short", size: 2 ** 33 }]);
    await expect(unpacking(store, gzipSync(tar))).rejects.toMatchObject({ code: "bad_request" });
    expect(await readdir(join(store.directory, "tmp"))).toEqual([]);
  });
});
