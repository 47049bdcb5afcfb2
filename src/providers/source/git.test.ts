import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allowedTo } from "../../../test/support/allowed-networks.ts";
import type { NetworksOf } from "../../foundation/safe-fetch.ts";
import { createGitBranches } from "../pull-requests/git-branches.ts";
import { createGitSource } from "./git.ts";

const sha1 = (content: string) => createHash("sha1").update(content).digest("hex");
const never = new AbortController().signal;
const PATH = "/usr/local/bin:/usr/bin:/bin";

let root = "";
let origin = "";
let server: Server;
let base = "";
/** What the web server answers instead of the repository. */
let answerInstead: { status: number; location?: string } | null = null;
let requests = 0;

function run(...args: string[]): string {
  return execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
    cwd: origin,
    encoding: "utf8",
  }).trim();
}

async function commit(files: Record<string, string>, message: string): Promise<string> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(origin, path)), { recursive: true });
    await writeFile(join(origin, path), content);
  }
  run("add", "-A");
  run("commit", "-q", "-m", message);
  return run("rev-parse", "HEAD");
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "git-source-"));
  origin = join(root, "shop");
  await mkdir(origin);
  run("init", "-q", "-b", "main");
  server = createServer((request, response) => {
    requests++;
    if (answerInstead !== null) {
      const { status, location } = answerInstead;
      response.writeHead(status, location === undefined ? {} : { location }).end();
      return;
    }
    const url = new URL(request.url ?? "/", "http://x");
    const backend = spawn("git", ["http-backend"], {
      env: {
        PATH,
        GIT_PROJECT_ROOT: root,
        GIT_HTTP_EXPORT_ALL: "1",
        REQUEST_METHOD: request.method,
        PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1),
        CONTENT_TYPE: request.headers["content-type"] ?? "",
        HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
        GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      },
    });
    request.pipe(backend.stdin);
    const chunks: Buffer[] = [];
    backend.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    backend.on("close", () => {
      const output = Buffer.concat(chunks);
      const end = output.indexOf("\r\n\r\n");
      const headers = output
        .subarray(0, end)
        .toString("utf8")
        .split("\r\n")
        .map((line) => line.split(": "));
      const status = headers.find(([name]) => name === "Status")?.[1] ?? "200";
      for (const [name = "", value = ""] of headers) if (name !== "Status") response.setHeader(name, value);
      response.writeHead(Number.parseInt(status, 10)).end(output.subarray(end + 4));
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((closed) => server.close(closed));
  await rm(root, { recursive: true, force: true });
});

function source(extra: { allowLocalPaths?: boolean; networksOf?: NetworksOf; path?: string } = {}) {
  return createGitSource({ ...optionsOf(), ...extra });
}

function optionsOf() {
  return {
    cacheDir: join(root, "cache"),
    networksOf: allowedTo({ prj_shop: ["127.0.0.0/8"] }),
    networkEnv: {},
    path: PATH,
  };
}

const wanted = (branch: string | null, id: string | null = null) => ({
  projectId: "prj_shop",
  url: `${base}/shop/.git`,
  branch,
  commit: id,
});

let first = "";
let second = "";
beforeAll(async () => {
  await mkdir(join(origin, "bin"));
  await writeFile(join(origin, "bin/run"), "#!/bin/sh\n", { mode: 0o755 });
  await symlink("a.txt", join(origin, "link"));
  first = await commit({ "a.txt": "one", "signalbox.yaml": "name: shop\n" }, "First\n\nwith a body");
  run("tag", "-a", "v1", "-m", "v1");
  second = await commit({ "a.txt": "two", "ö/ü.txt": "umlauts" }, "Second");
  run("branch", "feature/x", first);
  for (const name of ["b1", "b2", "b3", "b4"]) run("branch", name);
});

describe("a repository over http", () => {
  it("gives the default branch's tip, with the SHA-1 of every content and git's modes", async () => {
    const fetched = await source().fetch(wanted(null), never);
    expect(fetched).toEqual({
      sha: second,
      message: "Second",
      branch: "main",
      files: [
        { path: "a.txt", sha1: sha1("two"), size: 3, mode: 0o100644 },
        { path: "bin/run", sha1: sha1("#!/bin/sh\n"), size: 10, mode: 0o100755 },
        { path: "link", sha1: sha1("a.txt"), size: 5, mode: 0o120000 },
        { path: "signalbox.yaml", sha1: sha1("name: shop\n"), size: 11, mode: 0o100644 },
        { path: "ö/ü.txt", sha1: sha1("umlauts"), size: 7, mode: 0o100644 },
      ],
    });
  });

  it("finds a branch, a tag, and a commit by its whole or short id, also one that is no tip", async () => {
    expect(await source().fetch(wanted("feature/x"), never)).toMatchObject({
      sha: first,
      branch: "feature/x",
    });
    expect(await source().fetch(wanted("v1"), never)).toMatchObject({
      sha: first,
      branch: null,
      message: "First",
    });
    expect(await source().fetch(wanted(null, second), never)).toMatchObject({ sha: second });
    const third = await commit({ "a.txt": "three" }, "Third");
    await commit({ "a.txt": "four" }, "Fourth");
    expect(await source().fetch(wanted("main", third.slice(0, 10)), never)).toMatchObject({
      sha: third,
      branch: "main",
    });
    expect(await source().fetch(wanted(null, third), never)).toMatchObject({ sha: third });
  });

  it("reads a file of that very commit, and streams contents by SHA-1", async () => {
    const url = `${base}/shop/.git`;
    await source().fetch(wanted(null, first), never);
    const at = { url, sha: first, maxBytes: 1_000 };
    expect(await source().readText({ ...at, path: "a.txt" }, never)).toBe("one");
    expect(await source().readText({ ...at, path: "nothing" }, never)).toBeNull();
    await expect(source().readText({ ...at, path: "a.txt", maxBytes: 2 }, never)).rejects.toThrow(
      /3 bytes; 2/,
    );
    const read = new Map<string, string>();
    const sha1s = new Set([sha1("one"), sha1("#!/bin/sh\n")]);
    await source().readFiles(
      { url, sha: first, sha1s },
      async (file) => {
        read.set(file.sha1, await text(file.body));
      },
      never,
    );
    expect(read).toEqual(
      new Map([
        [sha1("one"), "one"],
        [sha1("#!/bin/sh\n"), "#!/bin/sh\n"],
      ]),
    );
  });
});

describe("a reader of contents", () => {
  it("may need no more of one; the next one comes whole", async () => {
    const large = "line\n".repeat(200_000);
    const id = await commit({ "0-large.txt": large, "1-small.txt": "small" }, "Large");
    const url = `${base}/shop/.git`;
    await source().fetch(wanted("main", id), never);
    const read: string[] = [];
    const use = async (file: { size: number; body: Readable }) => {
      read.push(file.size === large.length ? "left" : await text(file.body));
    };
    await source().readFiles({ url, sha: id, sha1s: new Set([sha1(large), sha1("small")]) }, use, never);
    expect(read).toEqual(["left", "small"]);
  });

  it("that fails ends it all with its own error", async () => {
    const at = { url: `${base}/shop/.git`, sha: first, sha1s: new Set([sha1("one")]) };
    const failing = source().readFiles(
      at,
      async () => Promise.reject(new Error("the target is down")),
      never,
    );
    await expect(failing).rejects.toThrow("the target is down");
  });
});

describe("what cannot be fetched", () => {
  it("answers an unknown branch with up to five that there are", async () => {
    await expect(source().fetch(wanted("mian"), never)).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining('no branch or tag "mian"'),
      hint: "It has b1, b2, b3, b4, feature/x and 1 more.",
    });
    await expect(source().fetch(wanted(null, "f".repeat(40)), never)).rejects.toMatchObject({
      code: "not_found",
    });
  });

  it("answers no repository, a login and a redirect each with one sentence, and follows no redirect", async () => {
    const absent = { ...wanted(null), url: `${base}/nothing.git` };
    await expect(source().fetch(absent, never)).rejects.toThrow(/There is no repository at/);
    const numbered = { ...wanted(null), url: `${base}/nothing-401-403.git` };
    await expect(source().fetch(numbered, never)).rejects.toThrow(/There is no repository at/);
    answerInstead = { status: 403 };
    await expect(source().fetch(wanted(null), never)).rejects.toThrow(/is private/);
    answerInstead = { status: 401 };
    await expect(source().fetch(wanted(null), never)).rejects.toThrow(/is private/);
    const before = requests;
    answerInstead = { status: 302, location: `${base}/elsewhere/info/refs?service=git-upload-pack` };
    await expect(source().fetch(wanted(null), never)).rejects.toMatchObject({ name: "AppError" });
    expect(requests).toBe(before + 1);
    answerInstead = null;
  });

  it("shows no password", async () => {
    const secret = `${base.replace("//", "//user:hunter2@")}/nothing.git`;
    const error = await source()
      .fetch({ ...wanted(null), url: secret }, never)
      .catch((thrown) => thrown);
    expect(`${error.message} ${error.hint}`).not.toContain("hunter2");
  });

  it("says so when files are elsewhere: Git LFS pointers and submodules", async () => {
    run("checkout", "-q", "-b", "lfs");
    await commit(
      { "big.bin": `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 9\n` },
      "L",
    );
    await expect(source().fetch(wanted("lfs"), never)).rejects.toThrow(/big\.bin is a Git LFS pointer/);
    run("checkout", "-q", "-b", "sub", "main");
    run("update-index", "--add", "--cacheinfo", `160000,${first},vendor/lib`);
    run("commit", "-q", "-m", "S");
    run("checkout", "-q", "-f", "main");
    await expect(source().fetch(wanted("sub"), never)).rejects.toThrow(/submodules \(vendor\/lib\)/);
  });

  it("ends at once when it is canceled", async () => {
    const controller = new AbortController();
    controller.abort(new Error("canceled by hand"));
    await expect(source().fetch(wanted(null), controller.signal)).rejects.toThrow("canceled by hand");
  });
});

describe("an address", () => {
  it.each([
    "ext::sh -c touch% /tmp/x",
    "ext::sh",
    "--upload-pack=touch /tmp/x",
    "-oProxyCommand=x",
    "ftp://example.com/x.git",
    "fd::17",
    "not a url",
    "https://exa mple.com/x",
    "ssh://-oProxyCommand=x/y",
    "",
  ])("that is no repository's is refused: %j", async (url) => {
    await expect(
      source().fetch({ projectId: "prj_shop", url, branch: null, commit: null }, never),
    ).rejects.toMatchObject({
      code: "bad_request",
    });
  });

  it.each([
    "http://127.0.0.1:1/x.git",
    "https://localhost/x.git",
    "https://[::1]/x.git",
    "https://169.254.169.254/x",
    "ssh://git@10.0.0.1/x.git",
    "git@localhost:x/y.git",
    "https://2130706433/x.git",
  ])("of a private network is refused: %s", async (url) => {
    const before = requests;
    const guarded = source({ networksOf: allowedTo({}) });
    await expect(
      guarded.fetch({ projectId: "prj_shop", url, branch: null, commit: null }, never),
    ).rejects.toThrow(/no public address/);
    expect(requests).toBe(before);
  });

  it("of a network allowed to one project is refused to another, even where the repository is here", async () => {
    await source().fetch(wanted(null), never);
    const before = requests;
    const refusal = { code: "bad_request", hint: expect.stringContaining("signalbox network allow") };
    await expect(source().fetch({ ...wanted(null), projectId: "prj_blog" }, never)).rejects.toMatchObject(
      refusal,
    );
    const branches = createGitBranches(optionsOf());
    const repository = `${base}/shop/.git`;
    await expect(branches.open({ projectId: "prj_blog", repository }, never)).rejects.toMatchObject(refusal);
    expect(requests).toBe(before);
    expect(await branches.open({ projectId: "prj_shop", repository }, never)).not.toEqual([]);
  });

  it("by name is not given to a git that would look the name up again", async () => {
    const path = join(root, "old");
    await mkdir(path);
    await writeFile(join(path, "git"), "#!/bin/sh\necho git version 2.34.1\n", { mode: 0o755 });
    const before = requests;
    const old = source({ path, networksOf: async () => ["127.0.0.0/8", "::1/128"] });
    const url = `${base.replace("127.0.0.1", "localhost")}/shop/.git`;
    await expect(
      old.fetch({ projectId: "prj_shop", url, branch: null, commit: null }, never),
    ).rejects.toThrow("git version 2.34.1 cannot be held to the addresses");
    expect(requests).toBe(before);
  });

  it("on this machine's disk is refused unless that is allowed", async () => {
    for (const url of [`file://${origin}`, origin]) {
      const asked = { projectId: "prj_shop", url, branch: null, commit: null };
      await expect(source().fetch(asked, never)).rejects.toThrow(/path on this machine/);
      expect(await source({ allowLocalPaths: true }).fetch(asked, never)).toMatchObject({ branch: "main" });
    }
  });

  it("may not carry an option in its branch or commit", async () => {
    for (const branch of ["--upload-pack=x", "a..b", "a b", "a:b", "x.lock", ""]) {
      await expect(source().fetch(wanted(branch), never)).rejects.toMatchObject({ code: "bad_request" });
    }
    for (const id of ["HEAD", "--all", "abc"]) {
      await expect(source().fetch(wanted(null, id), never)).rejects.toMatchObject({ code: "bad_request" });
    }
  });
});
