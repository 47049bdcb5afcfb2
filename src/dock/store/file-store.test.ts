import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../foundation/clock.ts";
import { errorCodeOf } from "../../foundation/errors.ts";
import { randomIds } from "../../foundation/ids.ts";
import { createFileStore, explainDisk } from "./file-store.ts";
import type { FileStore } from "./store.ts";

const deps = { clock: systemClock, ids: randomIds };
const sha1 = (bytes: Uint8Array | string) => createHash("sha1").update(bytes).digest("hex");
const tomorrow = () => new Date(systemClock.now().getTime() + 86_400_000);
const yesterday = () => new Date(systemClock.now().getTime() - 86_400_000);

let base: string;
let store: FileStore;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "store-"));
  store = await createFileStore(join(base, "a"), deps, { maxFileBytes: 100_000 });
});
afterAll(() => rm(base, { recursive: true }));

describe("the content store", () => {
  it("gives back every byte that was put, however it was cut into chunks, at the path of its digest", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 6 }), async (chunks) => {
        const whole = Buffer.concat(chunks);
        const digest = sha1(whole);
        expect(await store.put(digest, Readable.from(chunks))).toEqual({ size: whole.length });
        expect(await store.missing([digest])).toEqual([]);
        expect((await readFile(store.path(digest))).equals(whole)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it("refuses a body that is not what its digest says, and keeps nothing of it", async () => {
    const claimed = sha1("claimed");
    await expect(store.put(claimed, Buffer.from("other"))).rejects.toMatchObject({ code: "bad_request" });
    expect(await store.missing([claimed])).toEqual([claimed]);
    expect(await readdir(join(store.directory, "tmp"))).toEqual([]);
  });

  it("refuses a body over the limit while it streams", async () => {
    const big = Buffer.alloc(100_001);
    await expect(store.put(sha1(big), Readable.from([big]))).rejects.toMatchObject({ code: "too_large" });
  });

  it("a body that breaks off stores nothing", async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from("half");
        throw new Error("the client went away");
      })(),
    );
    await expect(store.put(sha1("half"), broken)).rejects.toThrow("went away");
    expect(await store.missing([sha1("half")])).toEqual([sha1("half")]);
  });

  it("names what is missing once each, in the order asked, also after a restart", async () => {
    await store.put(sha1("here"), Buffer.from("here"));
    const again = await createFileStore(store.directory, deps);
    const asked = [sha1("x"), sha1("here"), sha1("y"), sha1("x")];
    expect(await again.missing(asked)).toEqual([sha1("x"), sha1("y")]);
  });

  it("a digest that is none never becomes a path", async () => {
    for (const bad of ["../../etc/passwd", "ABCDEF", "", "g".repeat(40)]) {
      expect(() => store.path(bad)).toThrow(/SHA-1/);
      await expect(store.missing([bad])).rejects.toMatchObject({ code: "bad_request" });
    }
  });

  it("imports a file of this machine under its digest", async () => {
    const file = join(base, "built.js");
    await writeFile(file, "built");
    expect(await store.importFile(file)).toEqual({ sha1: sha1("built"), size: 5 });
    expect(await readFile(store.path(sha1("built")), "utf8")).toBe("built");
  });
});

describe("collection", () => {
  it("removes what nothing retains, and never what was retained, just asked for or just stored", async () => {
    const other = await createFileStore(join(base, "b"), deps);
    for (const text of ["kept", "old", "young"]) await other.put(sha1(text), Buffer.from(text));
    expect(await other.collect(new Set(), yesterday())).toEqual({ removed: 0, bytes: 0 });
    // A new process remembers nothing of what was asked for.
    const fresh = await createFileStore(other.directory, deps);
    await utimes(fresh.path(sha1("old")), yesterday(), yesterday());
    expect(await fresh.collect(new Set([sha1("kept"), sha1("young")]), tomorrow())).toEqual({
      removed: 1,
      bytes: 3,
    });
    expect(await fresh.missing([sha1("kept"), sha1("old"), sha1("young")])).toEqual([sha1("old")]);
  });
});

it("a full disk is said in one sentence", () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  expect(errorCodeOf(explainDisk(full, "/data"))).toBe("unavailable");
  expect(String(explainDisk(full, "/data"))).toMatch(/The disk that holds \/data is full/);
});
