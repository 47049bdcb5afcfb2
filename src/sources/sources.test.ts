import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { serve } from "@hono/node-server";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { type AccessTables, type Actor, type ActorEnv, systemActor } from "../access/index.ts";
import { type Clock, systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { createApi } from "../foundation/http.ts";
import { randomIds } from "../foundation/ids.ts";
import { silentLog } from "../foundation/log.ts";
import {
  CONFIG_FILE,
  createProject,
  getProject,
  type ProjectTables,
  requireConfig,
} from "../projects/index.ts";
import {
  createTree,
  forgetUploaded,
  pathProblem,
  readTree,
  type SourceTables,
  sourceRoutes,
} from "./index.ts";

const deployer: Actor = { kind: "token", id: "tok_d", name: "dan", role: "deployer" };
const viewer: Actor = { kind: "token", id: "tok_v", name: "eve", role: "viewer" };
const sha1 = (text: string | Buffer) => createHash("sha1").update(text).digest("hex");

let fresh: FreshDatabase;
let db: Database<SourceTables & ProjectTables & AccessTables>;
let now = systemClock.now();
let actor: Actor = deployer;
let projectId = "";
const clock: Clock = { ...systemClock, now: () => now };
/** What reached the target in full. */
const stored = new Map<string, Buffer>();
const target = {
  upload: async (file: { sha1: string; body: Readable }) => {
    stored.set(file.sha1, await buffer(file.body));
  },
};
const deps = () => ({
  db,
  clock,
  target,
  projectIdOf: async (name: string) => (await getProject(db, name)).id,
  configFile: CONFIG_FILE,
  checkConfig: requireConfig,
});
let server: ReturnType<typeof serve>;
let url = "";

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  const { project } = await createProject({ db, clock, ids: randomIds }, systemActor("test"), {
    name: "shop",
  });
  projectId = project.id;
  const api = createApi<ActorEnv>({ ids: randomIds, log: silentLog });
  api.use(async (c, next) => {
    c.set("actor", actor);
    await next();
  });
  api.route("/api", sourceRoutes(deps()));
  server = serve({ fetch: api.fetch, port: 0, hostname: "127.0.0.1", createServer });
  await new Promise((listening) => server.once("listening", listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/sources`;
});
afterAll(async () => {
  await new Promise((closed) => server.close(closed));
  await fresh[Symbol.asyncDispose]();
});

type Answer = {
  status: number;
  body: { tree: string; missing: string[]; error: { code: string; message: string; details: unknown[] } };
};

async function announce(body: object): Promise<Answer> {
  const response = await fetch(`${url}/trees`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

async function put(
  digest: string,
  body: string | Buffer<ArrayBuffer>,
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${url}/files/${digest}`, { method: "PUT", body });
  return { status: response.status, text: await response.text() };
}

const file = (path: string, text = path, mode = 0o100644) => ({
  path,
  sha1: sha1(text),
  size: text.length,
  mode,
});

describe("sending a tree", () => {
  it("asks once for each content, until the target has it, and again when that is 20 h ago", async () => {
    const files = [file("b.txt", "same"), file("a/a.txt", "same"), file("c.txt", "other")];
    const first = await announce({ project: "shop", files });
    expect(first.status).toBe(200);
    expect(first.body.missing.toSorted()).toEqual([sha1("same"), sha1("other")].toSorted());
    expect((await put(sha1("same"), "same")).status).toBe(204);
    expect(stored.get(sha1("same"))?.toString()).toBe("same");
    const second = await announce({ project: "shop", files: files.toReversed() });
    expect(second.body).toEqual({ tree: first.body.tree, missing: [sha1("other")] });
    now = new Date(now.getTime() + 20 * 3_600_000 + 1);
    expect((await announce({ project: "shop", files })).body.missing).toHaveLength(2);
    await put(sha1("same"), "same");
    await forgetUploaded(db, [sha1("same")]);
    expect((await announce({ project: "shop", files })).body.missing).toHaveLength(2);
    expect((await readTree(db, projectId, first.body.tree)).files.map(({ path }) => path)).toEqual([
      "a/a.txt",
      "b.txt",
      "c.txt",
    ]);
  });

  it("writes one audit entry for a tree, however often it is sent", async () => {
    const files = [file("audited.txt")];
    const { body } = await announce({ project: "shop", files });
    await announce({ project: "shop", files });
    const entries = await db
      .selectFrom("audit_log")
      .selectAll()
      .where("subject_id", "=", body.tree)
      .execute();
    expect(entries.map((entry) => [entry.action, entry.actor_name])).toEqual([["tree.create", "dan"]]);
  });

  it("ignores mode bits that a deployment does not keep", async () => {
    const plain = await announce({ project: "shop", files: [file("x", "x", 0o100644)] });
    const group = await announce({ project: "shop", files: [file("x", "x", 0o100664)] });
    const executable = await announce({ project: "shop", files: [file("x", "x", 0o100775)] });
    expect(group.body.tree).toBe(plain.body.tree);
    expect(executable.body.tree).not.toBe(plain.body.tree);
  });
});

describe("sending a tree with a configuration, a large one, or without the right", () => {
  it("takes the configuration only as it is in the tree, and answers all of its mistakes", async () => {
    const bad = "biuld: {}\nenv: []\n";
    const listed = [file(CONFIG_FILE, bad)];
    const invalid = await announce({ project: "shop", files: listed, config: bad });
    expect(invalid.status).toBe(422);
    expect(invalid.body.error.details).toMatchObject([
      { line: 1, column: 1, path: "biuld", hint: 'Did you mean "build"?' },
      { line: 2, path: "env" },
    ]);
    expect((await announce({ project: "shop", files: listed })).status).toBe(400);
    expect((await announce({ project: "shop", files: listed, config: "name: x" })).status).toBe(400);
    expect((await announce({ project: "shop", files: [], config: "name: x" })).status).toBe(400);
    const good = "name: shop\n";
    expect((await announce({ project: "shop", files: [file(CONFIG_FILE, good)], config: good })).status).toBe(
      200,
    );
  });

  it("answers an unchanged tree of 5,000 files quickly, with nothing missing", async () => {
    const files = Array.from({ length: 5_000 }, (_, index) =>
      file(`src/folder-${index % 97}/file-${index}.ts`),
    );
    for (const { sha1: digest, size } of files) await put0(digest, size);
    const startedAt = systemClock.monotonicMs();
    const answer = await announce({ project: "shop", files });
    const tookMs = systemClock.monotonicMs() - startedAt;
    expect(answer.body.missing).toEqual([]);
    // The aim is 150 ms; the bound only catches work that grows with the square.
    expect(tookMs).toBeLessThan(5_000);
  });

  it("rejects a viewer", async () => {
    actor = viewer;
    expect((await announce({ project: "shop", files: [] })).status).toBe(403);
    expect((await put(sha1("v"), "v")).status).toBe(403);
    actor = deployer;
    await expect(createTree(deps(), viewer, { project: "shop", files: [] })).rejects.toMatchObject({
      code: "forbidden",
    });
  });
});

/** The row that an upload leaves. */
async function put0(digest: string, size: number) {
  await db.insertInto("uploaded_files").values({ sha1: digest, size, uploaded_at: now }).execute();
}

describe("a list of files", () => {
  it.each([
    ["leads out of the tree", "../x"],
    ["leads out of the tree", "a/../../x"],
    ["is absolute", "/etc/passwd"],
    ["is absolute", "C:/x"],
    ["backslash", "a\\b"],
    ["NUL", "a\0b"],
    ["empty part", "a//b"],
    ["empty part", "./a"],
    ["is empty", ""],
    ["longer", "x".repeat(256)],
  ])("with a path that %s is refused: %j", async (why, path) => {
    const answer = await announce({ project: "shop", files: [file("ok.txt"), file(path)] });
    expect(answer.status).toBe(400);
    expect(JSON.stringify(answer.body.error.details)).toContain(why);
  });

  it("with paths that cannot exist together is refused", async () => {
    for (const paths of [
      ["a", "a"],
      ["Readme.md", "README.md"],
      ["a", "a/b"],
      ["é", "e\u0301"],
      ["A/x", "a"],
    ]) {
      expect((await announce({ project: "shop", files: paths.map((path) => file(path)) })).status).toBe(400);
    }
  });

  it("reports the first 20 problems at once", async () => {
    const files = Array.from({ length: 30 }, (_, index) => ({
      ...file(`f${index}`),
      sha1: "no",
    }));
    expect((await announce({ project: "shop", files })).body.error.details).toHaveLength(20);
  });

  it("beyond the limits is refused", async () => {
    const large = { ...file("large"), size: 513 * 2 ** 20 };
    const many = Array.from({ length: 5 }, (_, index) => ({ ...file(`f${index}`), size: 500 * 2 ** 20 }));
    expect((await announce({ project: "shop", files: [large] })).status).toBe(400);
    expect((await announce({ project: "shop", files: many })).status).toBe(413);
    const tooMany = Array.from({ length: 50_001 }, () => null);
    expect((await announce({ project: "shop", files: tooMany })).status).toBe(413);
  });
});

describe("whatever list of files", () => {
  it("of any JSON is answered with 400, never with 500", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.jsonValue({ maxDepth: 2 }), { minLength: 1, maxLength: 5 }),
        async (files) => {
          expect((await announce({ project: "shop", files })).status).toBe(400);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("may only have paths that stay inside", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", ".", "/", "\\", "\0", ":", " ") }), (path) => {
        if (pathProblem(path) !== null) return;
        expect(new URL(path.split("/").map(encodeURIComponent).join("/"), "http://x/tree/").pathname).toMatch(
          /^\/tree\//,
        );
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("sending a file", () => {
  it("refuses content of another digest, and the target never has all of it", async () => {
    const answer = await put(sha1("expected"), "something");
    expect(answer.status).toBe(422);
    expect(stored.has(sha1("expected"))).toBe(false);
    const row = await db
      .selectFrom("uploaded_files")
      .selectAll()
      .where("sha1", "=", sha1("expected"))
      .execute();
    expect(row).toEqual([]);
  });

  it("takes an empty file, and one of several megabytes unchanged", async () => {
    expect((await put(sha1(""), "")).status).toBe(204);
    const large = Buffer.alloc(5 * 2 ** 20, "signal ");
    expect((await put(sha1(large), large)).status).toBe(204);
    expect(stored.get(sha1(large))?.equals(large)).toBe(true);
  });

  it("needs a digest and a length", async () => {
    expect((await put("nonsense", "x")).status).toBe(400);
    const body = Readable.toWeb(Readable.from([Buffer.from("chunked")])) as ReadableStream;
    const response = await fetch(`${url}/files/${sha1("chunked")}`, {
      method: "PUT",
      body,
      duplex: "half",
    } as RequestInit);
    expect(response.status).toBe(400);
  });
});
