import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { allowedTo } from "../../test/support/allowed-networks.ts";
import { type FreshDatabase, freshDatabase } from "../../test/support/database.ts";
import { type AccessTables, systemActor } from "../access/index.ts";
import type { Prepare } from "../deployments/plan-source.ts";
import { systemClock } from "../foundation/clock.ts";
import { createDatabase, type Database } from "../foundation/db.ts";
import { randomIds } from "../foundation/ids.ts";
import { createGitSource } from "../providers/source/git.ts";
import { createVercelTarget } from "../providers/target/vercel.ts";
import { createTree, type SourceTables } from "../sources/index.ts";
import type { Target } from "../targets/target.ts";
import {
  CONFIG_FILE,
  createProject,
  getProject,
  type ProjectTables,
  prepare,
  requireConfig,
  reupload,
} from "./index.ts";
import { migrationsIn } from "./prepare.ts";

const sha1 = (content: string) => createHash("sha1").update(content).digest("hex");
const never = new AbortController().signal;
const actor = systemActor("test");
const CONFIG = "build: { output: dist }\nenvironments: { staging: { env: { A: b } } }\n";

let fresh: FreshDatabase;
let db: Database<ProjectTables & SourceTables & AccessTables>;
let root = "";
let origin = "";
/** What the target was sent, and the id that it gives the project: a target of which only the ends are watched. */
let uploaded: string[] = [];
let givenId = "prj_1";

function watchedTarget(): Target {
  const options = {
    token: "t",
    team: null,
    domain: "localhost",
    publicScheme: "http",
    publicPort: null,
  } as const;
  return {
    ...createVercelTarget({ clock: systemClock }, { api: "http://127.0.0.1:1", ...options }),
    ensureProject: async () => ({ targetProjectId: givenId }),
    upload: async (file) => void uploaded.push(await text(file.body)),
  };
}

const deps = () => ({
  db,
  clock: systemClock,
  target: watchedTarget(),
  git: createGitSource({
    cacheDir: join(root, "cache"),
    networksOf: allowedTo({}),
    allowLocalPaths: true,
    networkEnv: {},
    path: "/usr/local/bin:/usr/bin:/bin",
  }),
});

async function commit(files: Record<string, string>): Promise<string> {
  const run = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], { cwd: origin });
  for (const [path, content] of Object.entries(files)) await writeFile(join(origin, path), content);
  run("add", "-A");
  run("commit", "-q", "-m", "A change");
  return run("rev-parse", "HEAD").toString().trim();
}

beforeAll(async () => {
  fresh = await freshDatabase({ migrations: ["control"] });
  db = createDatabase(fresh.pool);
  root = await mkdtemp(join(tmpdir(), "prepare-"));
  origin = join(root, "shop");
  await mkdir(origin);
  execFileSync("git", ["init", "-q", "-b", "main"], { cwd: origin });
  await createProject({ db, clock: systemClock, ids: randomIds }, actor, { name: "shop" });
});
afterAll(async () => {
  await fresh[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});
beforeEach(() => {
  uploaded = [];
});

const input = (source: { git: string } | { tree: string }) => ({
  deploymentId: "dep_1",
  project: "shop",
  environment: "staging" as const,
  source,
  branch: null,
  pullRequest: null,
  commit: { sha: null, message: null, dirty: false },
});

describe("preparing a git source", () => {
  it("fetches, sends what is missing, reads the commit's own configuration, and does it once", async () => {
    const sha = await commit({ "index.html": "hello", [CONFIG_FILE]: CONFIG });
    const run: Prepare = prepare(deps());
    const prepared = await run(input({ git: origin }), never);
    expect(prepared).toMatchObject({
      files: [{ path: "index.html", sha1: sha1("hello") }, { path: CONFIG_FILE }],
      services: [
        {
          name: "app",
          targetProject: "shop",
          targetProjectId: "prj_1",
          settings: { outputDirectory: "dist" },
          env: { A: "b" },
        },
      ],
      plan: { strategy: { kind: "instant" }, schema: null },
      branch: "main",
      commit: { sha, message: "A change", dirty: false },
    });
    expect(uploaded.toSorted()).toEqual([CONFIG, "hello"].toSorted());
    uploaded = [];
    expect(await run(input({ git: origin }), never)).toEqual(prepared);
    expect(uploaded).toEqual([]);
  });

  it("sends files again that the target has lost", async () => {
    await prepare(deps())(input({ git: origin }), never);
    uploaded = [];
    await reupload(deps())(input({ git: origin }), [sha1("hello")], never);
    expect(uploaded).toEqual(["hello"]);
  });

  it("tells all mistakes of the commit's configuration, before anything is sent", async () => {
    await commit({ [CONFIG_FILE]: "biuld: {}\nname: []\n", "new.txt": "new" });
    await expect(prepare(deps())(input({ git: origin }), never)).rejects.toMatchObject({
      code: "unprocessable",
      details: [
        { line: 1, path: "biuld" },
        { line: 2, path: "name" },
      ],
    });
    expect(uploaded).toEqual([]);
  });
});

describe("preparing a tree", () => {
  const files = [
    { path: "index.html", sha1: sha1("hello"), size: 5, mode: 0o100644 },
    { path: CONFIG_FILE, sha1: sha1(CONFIG), size: CONFIG.length, mode: 0o100644 },
  ];
  const send = async (config = CONFIG, sent = files) => {
    const projectIdOf = async (name: string) => (await getProject(db, name)).id;
    const sources = {
      db,
      clock: systemClock,
      projectIdOf,
      configFile: CONFIG_FILE,
      checkConfig: requireConfig,
    };
    return (await createTree(sources, actor, { project: "shop", files: sent, config })).tree;
  };

  it("takes it as it was sent, and remembers a project that the target made anew", async () => {
    const tree = await send();
    givenId = "prj_2";
    const prepared = await prepare(deps())({ ...input({ tree }), branch: "dev" }, never);
    expect(prepared).toMatchObject({
      files,
      services: [{ env: { A: "b" }, targetProjectId: "prj_2" }],
      branch: "dev",
    });
    expect((await getProject(db, "shop")).targetProjectId).toBe("prj_2");
  });

  it("asks to deploy again when the target has lost its files, and forgets that it had them", async () => {
    const tree = await send();
    await expect(reupload(deps())(input({ tree }), [sha1("hello")], never)).rejects.toMatchObject({
      code: "unprocessable",
      hint: expect.stringContaining("signalbox deploy"),
    });
    const left = await db
      .selectFrom("uploaded_files")
      .selectAll()
      .where("sha1", "=", sha1("hello"))
      .execute();
    expect(left).toEqual([]);
  });

  it("answers an unknown tree and an unknown project with what to do", async () => {
    await expect(prepare(deps())(input({ tree: "0".repeat(64) }), never)).rejects.toMatchObject({
      code: "not_found",
    });
    const elsewhere = { ...input({ tree: await send() }), project: "shpo" };
    await expect(prepare(deps())(elsewhere, never)).rejects.toMatchObject({
      code: "not_found",
      hint: expect.stringContaining('"shop"'),
    });
  });

  // biome-ignore lint/suspicious/noTemplateCurlyInString: as people write it
  const OWN_NAME = "${PULL_REQUEST}:${BRANCH}";
  const SERVICES = [
    "services:",
    `  api: { build: { root: api }, env: { NAME: "${OWN_NAME}" } }`,
    "  web: { build: { root: web } }",
  ].join("\n");
  const tree = (contents: Record<string, string>) =>
    Object.entries({ ...contents, [CONFIG_FILE]: SERVICES }).map(([path, content]) => ({
      path,
      sha1: sha1(content),
      size: content.length,
      mode: 0o100644,
    }));
  const CONTENTS = {
    "api/index.js": "a",
    "web/index.html": "w",
    "package-lock.json": "l",
    "db/expand/2.sql": "2",
    "db/expand/10.sql": "10",
    "db/expand/old/1.sql": "1",
    "db/expand/readme.md": "r",
    "db/contract/3.sql": "3",
  };

  it("makes a project of the target for each service", async () => {
    const prepared = await prepare(deps())(input({ tree: await send(SERVICES, tree(CONTENTS)) }), never);
    expect(prepared.services.map(({ name, targetProject }) => [name, targetProject])).toEqual([
      ["api", "shop-api"],
      ["web", "shop-web"],
    ]);
    // The id of the project's own is not overwritten by a service's.
    expect((await getProject(db, "shop")).targetProjectId).toBe("prj_2");
  });

  it("takes a folder's own .sql files for migrations, in the order of their bytes", () => {
    expect(migrationsIn(tree(CONTENTS), "db/expand")).toEqual(["10.sql", "2.sql"]);
    expect(migrationsIn(tree(CONTENTS), "./db/contract/")).toEqual(["3.sql"]);
    expect(migrationsIn(tree(CONTENTS), null)).toEqual([]);
  });

  it("gives a service the same inputs until something changes that its build depends on", async () => {
    const inputs = async (contents: Record<string, string>) => {
      const prepared = await prepare(deps())(input({ tree: await send(SERVICES, tree(contents)) }), never);
      return prepared.services.map((service) => service.inputs);
    };
    const [api, web] = await inputs(CONTENTS);
    expect(await inputs({ ...CONTENTS, "web/index.html": "w2" })).toEqual([
      api,
      expect.not.stringMatching(`${web}`),
    ]);
    const all = await inputs({ ...CONTENTS, "package-lock.json": "l2" });
    expect([all[0] === api, all[1] === web]).toEqual([false, false]);
  });

  it("puts a preview's own number and branch into its variables", async () => {
    const place = { environment: "preview", pullRequest: 7, branch: "Fix/It now" } as const;
    const tree_ = await send(SERVICES, tree(CONTENTS));
    const prepared = await prepare(deps())({ ...input({ tree: tree_ }), ...place }, never);
    expect(prepared.services[0]?.env).toEqual({ NAME: "7:fix_it_now" });
    const staging = await prepare(deps())(input({ tree: tree_ }), never);
    expect(staging.services[0]?.env).toEqual({ NAME: OWN_NAME });
  });

  it("refuses a service whose name at the target is another project's", async () => {
    await createProject({ db, clock: systemClock, ids: randomIds }, actor, { name: "store" });
    await createProject({ db, clock: systemClock, ids: randomIds }, actor, { name: "store-web" });
    const sources = {
      db,
      clock: systemClock,
      projectIdOf: async (name: string) => (await getProject(db, name)).id,
      configFile: CONFIG_FILE,
      checkConfig: requireConfig,
    };
    const sent = await createTree(sources, actor, {
      project: "store",
      files: tree(CONTENTS),
      config: SERVICES,
    });
    await expect(
      prepare(deps())({ ...input({ tree: sent.tree }), project: "store" }, never),
    ).rejects.toMatchObject({ code: "unprocessable", hint: expect.stringContaining("Rename") });
  });
});
