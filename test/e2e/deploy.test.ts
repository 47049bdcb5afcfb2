import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance();
});
afterAll(() => at.remove());

const example = (name: string) => resolve("examples", name);

test.for([
  { name: "static", path: "/", text: "<html" },
  { name: "node-http", path: "/", text: "" },
  { name: "build-output", path: "/", text: "<" },
  { name: "express", path: "/", text: "" },
  { name: "hono", path: "/", text: "" },
  { name: "fastify", path: "/", text: "" },
  { name: "vite-react", path: "/", text: '<div id="root">' },
])("without any configuration, $name is built, proven and served on its hosts", async ({
  name,
  path,
  text,
}) => {
  const deployed = await at.deploy(example(name), "--env", "preview", "--project", `zero-${name}`);
  expect(deployed, deployed.output).toMatchObject({ state: "live", code: 0 });
  for (const url of [deployed.url ?? "", ...deployed.urls]) {
    const answer = await at.get(url, path);
    expect(answer.status).toBe(200);
    expect(answer.body).toContain(text);
  }
});

test("the same tree again is reused: nothing is built, nothing is sent", async () => {
  const first = await at.deploy(example("static"), "--env", "production", "--project", "reused");
  const again = await at.deploy(example("static"), "--env", "production", "--project", "reused");
  expect(first).toMatchObject({ state: "live" });
  expect(again).toMatchObject({ state: "live", reused: true });
  const states = (await at.api.list("project=reused")).map((deployment) => deployment.state);
  expect(states).toEqual(["live", "superseded"]);
});

test("production, staging and preview have hosts of their own; a rollback returns the earlier release", async () => {
  await using app = await folderOf({ "index.html": "one" });
  const one = await at.deploy(app.path, "--env", "production", "--project", "shop");
  await app.write({ "index.html": "two" });
  const two = await at.deploy(app.path, "--env", "production", "--project", "shop");
  const staging = await at.deploy(app.path, "--env", "staging", "--project", "shop");
  expect(new URL(two.urls[0] ?? "").hostname).toBe("shop.localhost");
  expect(new URL(staging.urls[0] ?? "").hostname).toBe("shop-staging.localhost");
  const production = () => at.get(two.urls[0] ?? "");
  expect((await production()).body).toBe("two");

  const rolledBack = await at.cli(["rollback", "--env", "production", "--project", "shop", "--json"]);
  expect(rolledBack.code, rolledBack.output).toBe(0);
  expect((await production()).body).toBe("one");
  expect((await at.get(two.url ?? "")).body).toBe("two");
  expect((await at.get(staging.urls[0] ?? "")).body).toBe("two");
  expect((await at.api.status(one.id)).deployment.state).toBe("live");
  expect((await at.api.status(two.id)).deployment.state).toBe("rolled_back");
});

test("an uncommitted tree deploys and is marked dirty; a commit deploys that commit's tree", async () => {
  await using app = await folderOf({ "index.html": "committed" });
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", ...args], { cwd: app.path });
  git("init", "-q", "-b", "main");
  git("add", ".");
  git("commit", "-qm", "First");
  const clean = await at.deploy(app.path, "--env", "preview", "--project", "gitty");
  expect(clean).toMatchObject({ state: "live", dirty: false, branch: "main", message: "First" });
  expect(new URL(clean.urls[0] ?? "").hostname).toBe("gitty-git-main.localhost");
  await app.write({ "index.html": "changed" });
  const dirty = await at.deploy(app.path, "--env", "preview", "--project", "gitty");
  expect(dirty).toMatchObject({ state: "live", dirty: true });
  expect((await at.get(dirty.urls[0] ?? "")).body).toBe("changed");
  const commit = git("rev-parse", "HEAD").toString().trim();
  const old = await at.deploy(app.path, "--env", "preview", "--project", "gitty", "--commit", commit);
  expect(old).toMatchObject({ state: "live", dirty: false, commit });
  expect((await at.get(old.urls[0] ?? "")).body).toBe("committed");
});

test("a server's process gets its own variables and none of ours", async () => {
  await using app = await folderOf({
    "package.json": packageJson("envs"),
    "signalbox.yaml": "env: { GREETING: hello }\n",
    "server.js": `import http from "node:http";
http.createServer((q, s) => s.end(JSON.stringify(process.env))).listen(process.env.PORT ?? 3000);`,
  });
  const deployed = await at.deploy(app.path, "--env", "preview");
  expect(deployed, deployed.output).toMatchObject({ state: "live" });
  const seen = JSON.parse((await at.get(deployed.urls[0] ?? "")).body);
  expect(seen.GREETING).toBe("hello");
  expect(
    Object.keys(seen).filter((name) => /DATABASE_URL|SIGNALBOX_(TOKEN|DIR|URL)|DOCK/.test(name)),
  ).toEqual([]);
});

test("OpenAPI, liveness and readiness need no token; everything else does", async () => {
  for (const path of ["/api/openapi.json", "/api/health/live", "/api/health/ready"]) {
    expect((await fetch(`${at.url}${path}`)).status, path).toBe(200);
  }
  const openapi = (await (await fetch(`${at.url}/api/openapi.json`)).json()) as { paths: object };
  const paths = Object.keys(openapi.paths);
  expect(paths).toEqual(
    expect.arrayContaining([
      "/api/deploy/trigger",
      "/api/deploy/status/{deploymentId}",
      "/api/deploy/rollback",
    ]),
  );
  for (const headers of [{}, { authorization: "Bearer wrong" }]) {
    const refused = await fetch(`${at.url}/api/deploy/list`, { headers });
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ error: { code: "unauthorized", hint: expect.any(String) } });
  }
});
