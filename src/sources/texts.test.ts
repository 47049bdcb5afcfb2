import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { allowedTo } from "../../test/support/allowed-networks.ts";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { type AccessTables, type Actor, systemActor } from "../access/index.ts";
import { type Clock, systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { randomIds } from "../foundation/ids.ts";
import { createProject, getProject, type ProjectTables } from "../projects/index.ts";
import { createGitSource } from "../providers/source/git.ts";
import type { TreeFile } from "../targets/target.ts";
import { createTree, migrationFiles, readMigrationFiles, type SourceTables, uploadFile } from "./index.ts";

const actor: Actor = { kind: "token", id: "tok_d", name: "dan", role: "deployer" };
const signal = new AbortController().signal;
const sha1 = (text: string | Buffer) => createHash("sha1").update(text).digest("hex");
const CONFIG = "migrations: {}\n";

let fresh: FreshDatabase;
let db: Database<SourceTables & ProjectTables & AccessTables>;
let now = systemClock.now();
const clock: Clock = { ...systemClock, now: () => now };
const stored = new Map<string, Buffer>();
const target = {
  upload: async (file: { sha1: string; body: Readable }) => {
    stored.set(file.sha1, await buffer(file.body));
  },
};
let dir = "";
let reads = 0;
/** The real thing over a repository on this disk, counted. */
function git() {
  const source = createGitSource({
    cacheDir: join(dir, "cache"),
    path: process.env.PATH ?? "/usr/bin:/bin",
    networkEnv: {},
    networksOf: allowedTo({}),
    allowLocalPaths: true,
  });
  const readFiles: typeof source.readFiles = (...asked) => {
    reads++;
    return source.readFiles(...asked);
  };
  return { ...source, readFiles };
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "texts-"));
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  await createProject({ db, clock, ids: randomIds }, systemActor("test"), { name: "shop" });
});
beforeEach(() => stored.clear());
afterAll(async () => {
  await fresh[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

const file = (path: string, text: string | Buffer = path, mode = 0o100644): TreeFile => ({
  path,
  sha1: sha1(text),
  size: Buffer.byteLength(text),
  mode,
});

function announce(files: readonly TreeFile[]) {
  const deps = {
    db,
    clock,
    projectIdOf: async (name: string) => (await getProject(db, name)).id,
    configFile: "signalbox.yaml",
    checkConfig: () => {},
    migrationDirs: () => ["./db/expand/", "db/contract"],
  };
  const all = [...files, file("signalbox.yaml", CONFIG)];
  return createTree(deps, actor, { project: "shop", files: all, config: CONFIG });
}

function put(content: string | Buffer, digest = sha1(content)) {
  const bytes = Buffer.from(content);
  const body = Readable.from([bytes]);
  return uploadFile({ db, clock, target }, actor, { sha1: digest, size: bytes.length, body }, signal);
}

const readTree = (files: readonly TreeFile[], dir = "db/expand") =>
  readMigrationFiles({ db, clock, git: git() }, { source: { tree: "t" }, sha: null, files, dir }, signal);

describe("the migrations of a tree", () => {
  it("are asked for until their texts are here, though the target has the files, and pass on to it", async () => {
    const files = [
      file("db/expand/0002_b.sql", "select 2"),
      file("db/expand/0001_a.sql", "\uFEFFselect 'é'"),
    ];
    for (const text of ["select 2", "\uFEFFselect 'é'", CONFIG]) {
      await db
        .insertInto("uploaded_files")
        .values({ sha1: sha1(text), size: 1, uploaded_at: now })
        .execute();
    }
    const { missing } = await announce(files);
    expect(missing.toSorted()).toEqual(files.map((one) => one.sha1).toSorted());
    await expect(readTree(files)).rejects.toThrow("The text of db/expand/0001_a.sql is not here.");
    await put("select 2");
    await put("\uFEFFselect 'é'");
    expect(stored.get(sha1("\uFEFFselect 'é'"))?.toString()).toBe("\uFEFFselect 'é'");
    expect((await announce(files)).missing).toEqual([]);
    expect(await readTree(files)).toEqual([
      { name: "0001_a.sql", sha1: sha1("\uFEFFselect 'é'"), sql: "\uFEFFselect 'é'" },
      { name: "0002_b.sql", sha1: sha1("select 2"), sql: "select 2" },
    ]);
    expect(await readTree(files, "db/contract")).toEqual([]);
  });

  it("may be empty, and equal to one another", async () => {
    const files = [file("db/contract/1.sql", ""), file("db/contract/2.sql", "")];
    await announce(files);
    await put("");
    expect((await readTree(files, "db/contract")).map(({ sql }) => sql)).toEqual(["", ""]);
  });

  it("are kept while they are in use; everything else of the tree is not kept", async () => {
    const files = [file("db/expand/kept.sql", "kept"), file("src/app.ts"), file("db/expand/sub/no.sql")];
    await announce(files);
    for (const text of ["kept", "src/app.ts", "db/expand/sub/no.sql"]) await put(text);
    const rows = await db.selectFrom("source_texts").select("path").where("text", "is not", null).execute();
    expect(rows.map(({ path }) => path)).toContain("db/expand/kept.sql");
    expect(rows.map(({ path }) => path)).not.toContain("src/app.ts");
    const days = (count: number) => new Date(now.getTime() + count * 24 * 3_600_000);
    now = days(170);
    await readTree(files);
    now = days(20);
    await announce([]);
    expect(await readTree(files)).toHaveLength(1);
    now = days(181);
    await announce([]);
    await expect(readTree(files)).rejects.toThrow(/is not here/);
  });

  it("are refused when they are no text, by path, and the target gets nothing", async () => {
    for (const [bytes, why] of [
      [Buffer.from([0xff, 0xfe, 0x20]), "is not UTF-8"],
      [Buffer.from("a\0b"), "has a NUL character"],
    ] as const) {
      await announce([file("db/expand/binary.sql", bytes)]);
      await expect(put(bytes)).rejects.toMatchObject({
        code: "unprocessable",
        message: `db/expand/binary.sql is read as a migration, and ${why}.`,
      });
      expect(stored.size).toBe(0);
    }
  });

  it("are refused with content of another digest or length", async () => {
    await announce([file("db/expand/x.sql", "expected")]);
    await expect(put("something", sha1("expected"))).rejects.toMatchObject({ code: "unprocessable" });
    expect(stored.size).toBe(0);
    expect((await announce([file("db/expand/x.sql", "expected")])).missing).toContain(sha1("expected"));
  });

  it("are refused when they are too large, links, or hidden in their names, before anything is sent", async () => {
    const large = { ...file("db/expand/large.sql"), size: 2 ** 20 + 1 };
    await expect(announce([large])).rejects.toThrow(/"db\/expand\/large\.sql" has 1048577 bytes/);
    await expect(announce([file("db/expand/link.sql", "x", 0o120000)])).rejects.toThrow(/is a symbolic link/);
    await expect(announce([file("db/expand/a\nb.sql", "x")])).rejects.toThrow(/control character/);
    const many = Array.from({ length: 40 }, (_, at) => ({ ...file(`db/expand/${at}.sql`), size: 2 ** 20 }));
    await expect(announce(many)).rejects.toThrow(/There are 40 migrations/);
  });
});

describe("the migrations of a git source", () => {
  it("are read from the repository once", async () => {
    const origin = join(dir, "origin");
    await mkdir(join(origin, "db", "expand"), { recursive: true });
    await writeFile(join(origin, "db", "expand", "2.sql"), "select 'git'");
    await writeFile(join(origin, "db", "expand", "1.sql"), "select 'é'");
    await writeFile(join(origin, "README.md"), "# shop");
    const who = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    for (const args of [
      ["init", "-q", "-b", "main"],
      ["add", "-A"],
      [...who, "commit", "-q", "-m", "one"],
    ]) {
      execFileSync("git", args, { cwd: origin });
    }
    const { sha, files } = await git().fetch(
      { projectId: "prj_1", url: origin, branch: null, commit: null },
      signal,
    );
    const input = { source: { git: origin }, sha, files, dir: "db/expand" };
    const deps = { db, clock, git: git() };
    const expected = [
      { name: "1.sql", sha1: sha1("select 'é'"), sql: "select 'é'" },
      { name: "2.sql", sha1: sha1("select 'git'"), sql: "select 'git'" },
    ];
    expect(await readMigrationFiles(deps, input, signal)).toEqual(expected);
    expect(await readMigrationFiles(deps, input, signal)).toEqual(expected);
    expect(reads).toBe(1);
    expect(await readMigrationFiles(deps, { ...input, dir: null }, signal)).toEqual([]);
  });
});

describe("a folder", () => {
  it("is the same however it is written, may be the root, and has only what is directly in it", () => {
    const files = ["a.sql", "db/1.sql", "db/2.SQL", "db/x/3.sql", "dbx/4.sql"].map((path) => file(path));
    const paths = (dir: string) => migrationFiles(files, [dir]).map(({ path }) => path);
    for (const dir of ["db", "db/", "./db", "db/."]) expect(paths(dir)).toEqual(["db/1.sql"]);
    expect(paths(".")).toEqual(["a.sql"]);
  });
});
