import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTree } from "../../bench/support/tree.ts";
import { isAlive } from "../../src/foundation/process.ts";
import { post, QUICK_HEALTH, reach, until } from "../support/app-stand.ts";
import { folderOf, packageJson, startTestInstance, type TestInstance } from "../support/instance.ts";

let at: TestInstance;
beforeAll(async () => {
  at = await startTestInstance({ SIGNALBOX_ALLOW_LOCAL_REPOSITORIES: "1" });
});
afterAll(() => at.remove());

const files = (name: string, version: string) => ({
  "package.json": packageJson(name),
  "signalbox.yaml": `name: ${name}
${QUICK_HEALTH}
environments: { preview: { env: { DATABASE: "${name}_\${BRANCH}", PULL_REQUEST_URL: "/pulls/\${PULL_REQUEST}" } } }
`,
  "server.js": `import http from "node:http";
const { DATABASE, PULL_REQUEST_URL } = process.env;
const told = JSON.stringify({ version: "${version}", pid: process.pid, DATABASE, PULL_REQUEST_URL });
http.createServer((q, s) => s.end(told)).listen(process.env.PORT ?? 3000);`,
});
const answerAt = async (url: string) => JSON.parse((await at.get(url)).body);
const previews = async (project: string) => {
  const { previews } = (await (await at.call(`/api/previews?project=${project}`)).json()) as {
    previews: { key: string; state: string; url: string | null }[];
  };
  return previews;
};

test("every branch has a preview of its own, and it goes with its branch, process and all", async () => {
  await using app = await folderOf(files("zoo", "main"));
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=T", "-c", "user.email=t@example.org", ...args], { cwd: app.path });
  git("init", "-q", "-b", "main");
  const commit = (message: string) => {
    git("add", ".");
    git("commit", "-qm", message);
  };
  commit("The zoo");
  for (const branch of ["feature/lions", "feature/owls"]) {
    git("checkout", "-qb", branch, "main");
    await app.write(files("zoo", branch));
    commit(branch);
  }
  git("checkout", "-q", "main");
  await at.api.createProject("zoo");
  const policy = { source: "branches", gitUrl: `file://${app.path}` };
  const put = await at.call("/api/projects/zoo/previews", { method: "PUT", body: JSON.stringify(policy) });
  expect(put.status, await put.text()).toBe(200);
  /** Now, unless the control plane is at it by itself, which is as good. */
  const sweep = async () => {
    const swept = await post(at, "/api/projects/zoo/previews/sweep");
    if (swept.body.error?.code !== "in_flight")
      expect(swept, JSON.stringify(swept.body)).toMatchObject({ status: 200 });
  };

  await sweep();
  const both = await until(async () => {
    const found = await previews("zoo");
    return found.length === 2 && found.every(({ state }) => state === "live") && found;
  });
  expect(both.map(({ key }) => key)).toEqual(["branch-feature/lions", "branch-feature/owls"]);
  const [lions = "", owls = ""] = both.map(({ url }) => url ?? "");
  expect(new URL(lions).hostname).toBe("zoo-git-feature-lions.localhost");
  const there = await answerAt(lions);
  expect(there).toMatchObject({ version: "feature/lions", DATABASE: "zoo_feature_lions" });

  git("branch", "-qD", "feature/lions");
  await sweep();
  await until(async () => (await at.get(lions)).status === 404 && !isAlive(there.pid));
  expect((await previews("zoo")).map(({ key }) => key)).toEqual(["branch-feature/owls"]);
  expect(await answerAt(owls)).toMatchObject({ version: "feature/owls" });
});

test("a pull request's preview has its number for an address, and in its variables", async () => {
  await using app = await folderOf(files("farm", "geese"));
  await at.api.createProject("farm");
  const { tree } = await at.api.sendTree("farm", await readTree(app.path));
  const trigger = {
    environment: "preview",
    project: "farm",
    branch: "geese",
    pullRequest: 7,
    source: { tree },
  };
  const { body } = await post(at, "/api/deploy/trigger", trigger);
  const live = await reach(at, body.deploymentId, ({ state }) => state === "live");
  expect(live.urls.map((url) => new URL(url).hostname)).toEqual(["farm-pr-7.localhost"]);
  expect(await answerAt(live.urls[0] ?? "")).toMatchObject({
    DATABASE: "farm_geese",
    PULL_REQUEST_URL: "/pulls/7",
  });
  const closed = await at.call("/api/previews/farm/pr-7", { method: "DELETE" });
  expect(closed.status, await closed.text()).toBe(204);
  await until(async () => (await at.get(live.urls[0] ?? "")).status === 404);
});
