import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AS, type PreviewStand, previewStand } from "../../test/support/preview-stand.ts";
import { systemClock } from "../foundation/clock.ts";
import { startSweeper } from "./index.ts";

let stand: PreviewStand;
let count = 0;
let name = "";
let project = "";

beforeAll(async () => {
  stand = await previewStand();
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(async () => {
  name = `v${++count}`;
  project = await stand.makeProject(name);
  stand.github.pulls.clear();
  stand.triggers.length = 0;
  stand.woken.length = 0;
});

const path = () => `/api/projects/${name}/previews`;
const put = (body: unknown, as = AS.owner) => stand.request(as, "PUT", path(), body);
const github = () => ({ source: "github", repository: stand.github.repository });
const audited = async (action: string) =>
  (await stand.audited(action)).filter(({ subject_id }) => subject_id.startsWith(project));

describe("the policy", () => {
  it("is none at first: no previews, and nothing deployed on a push", async () => {
    const answer = await stand.request(AS.viewer, "GET", path());
    expect(answer.body.policy).toMatchObject({ source: "none", limit: 20, ttlMs: 604_800_000, forks: false });
    expect(answer.body.lastSweep).toEqual({ at: null, failingSince: null, failure: null, steps: [] });
  });

  it("is set whole, audited, and swept by at once; what is left out is at its default", async () => {
    await put({ ...github(), limit: 3, ttlMs: null, deployOnPush: { main: "production" } });
    expect(stand.woken).toEqual([project]);
    const answer = await put({ ...github(), forks: true });
    expect(answer).toMatchObject({
      status: 200,
      body: { policy: { limit: 20, forks: true, deployOnPush: {} } },
    });
    expect(await audited("preview.set_policy")).toEqual(
      Array(2).fill({ actor_name: "owner", subject_id: project }),
    );
  });

  it("shows no token of its URL, and keeps it when the shown URL is sent back", async () => {
    await put({ source: "branches", gitUrl: "https://user:hunter2@git.example.com/shop.git" });
    const shown = (await stand.request(AS.viewer, "GET", path())).body.policy.gitUrl;
    expect(shown).toBe("https://***@git.example.com/shop.git");
    await put({ source: "branches", gitUrl: shown });
    const row = await stand.db
      .selectFrom("preview_policies")
      .select("git_url")
      .where("project_id", "=", project)
      .execute();
    expect(row[0]?.git_url).toContain("hunter2");
    const log = await stand.db
      .selectFrom("audit_log")
      .select("details")
      .where("subject_id", "=", project)
      .execute();
    expect(JSON.stringify(log)).not.toContain("hunter2");
    expect((await put({ source: "branches", gitUrl: "https://***@elsewhere/shop.git" })).status).toBe(400);
  });

  it.each([
    ["github without a repository", { source: "github" }, /repository/],
    ["a repository that leads elsewhere", { source: "github", repository: "../../user" }, /repository/],
    ["branches without a URL", { source: "branches" }, /gitUrl/],
    ["an unknown field", { source: "none", ttl: 3 }, /ttl/],
    ["an unknown environment", { source: "none", deployOnPush: { main: "preview" } }, /deployOnPush/],
    ["no time at all", { source: "none", ttlMs: 0 }, /ttlMs/],
  ])("is refused with one clear sentence: %s", async (_name, body, message) => {
    const answer = await put(body);
    expect([answer.status, answer.body.error.message]).toEqual([400, expect.stringMatching(message)]);
  });
});

it("every write verb refuses a viewer, a deployer sets no policy, and nothing is left behind", async () => {
  const answers = await Promise.all([
    put(github(), AS.viewer),
    put(github(), AS.deployer),
    stand.request(AS.viewer, "POST", `${path()}/sweep`),
    stand.request(AS.viewer, "DELETE", `/api/previews/${name}/pr-1`),
  ]);
  expect(answers.map(({ status, body }) => [status, body.error.code])).toEqual(
    Array(4).fill([403, "forbidden"]),
  );
  expect((await stand.request(AS.viewer, "GET", path())).body.policy.source).toBe("none");
  expect(await audited("preview")).toEqual([]);
});

it("a sweep by hand says what it did, and is audited", async () => {
  await put(github());
  stand.github.open({ number: 1 });
  const answer = await stand.request(AS.deployer, "POST", `${path()}/sweep`);
  expect(answer).toMatchObject({
    status: 200,
    body: {
      steps: [{ kind: "deploy", key: "pr-1", why: "It was opened.", deploymentId: expect.any(String) }],
    },
  });
  expect(await audited("preview.sweep")).toEqual([{ actor_name: "deployer", subject_id: project }]);
  stand.github.faults = [{ status: 500 }];
  expect((await stand.request(AS.deployer, "POST", `${path()}/sweep`)).status).toBe(502);
});

it("a preview closed by hand goes, is audited, and stays away until the next push", async () => {
  await put(github());
  stand.github.open({ number: 1 });
  const sweep = async () => (await stand.request(AS.deployer, "POST", `${path()}/sweep`)).body.steps;
  await sweep();
  const close = () => stand.request(AS.deployer, "DELETE", `/api/previews/${name}/pr-1`);
  expect((await close()).status).toBe(204);
  expect(await audited("preview.close")).toEqual([{ actor_name: "deployer", subject_id: `${project}/pr-1` }]);
  expect(await sweep()).toMatchObject([{ kind: "skip", why: expect.stringContaining("closed by deployer") }]);
  const again = await close();
  expect([again.status, again.body.error.hint]).toEqual([404, "It has none at all."]);
  stand.github.push(1, "b".repeat(40));
  expect(await sweep()).toMatchObject([{ kind: "deploy" }]);
});

it("the list is of all projects when none is named", async () => {
  await put(github());
  stand.github.open({ number: 1 });
  await stand.request(AS.deployer, "POST", `${path()}/sweep`);
  const { previews } = (await stand.request(AS.viewer, "GET", "/api/previews")).body;
  expect(previews.filter((each: { project: string }) => each.project === name)).toHaveLength(1);
  expect((await stand.request(AS.viewer, "GET", "/api/previews?project=nope")).status).toBe(404);
});

describe("the sweeper", () => {
  const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 30_000, interval: 20 });
  const swept = () => stand.triggers.filter(({ project: of }) => of === name).length;

  it("finds by itself what no webhook told, at the next round", async () => {
    await put(github());
    stand.github.open({ number: 1 });
    const sweeper = startSweeper({ ...stand.deps, clock: systemClock }, { everyMs: 20, jitter: () => 0.5 });
    await eventually(swept).toBe(1);
    await sweeper.close();
  });

  it("woken, sweeps at once, and again when it was woken meanwhile", async () => {
    await put(github());
    stand.github.open({ number: 1 });
    const sweeper = startSweeper(stand.deps, { jitter: () => 0.5 });
    sweeper.wake(project);
    stand.github.open({ number: 2 });
    sweeper.wake(project);
    await eventually(swept).toBe(2);
    await sweeper.close();
    sweeper.wake(project);
  });

  it("outlives a round that fails", async () => {
    await put(github());
    stand.github.open({ number: 1 });
    stand.github.faults = [{ status: 503 }];
    const sweeper = startSweeper(stand.deps, { everyMs: 20, jitter: () => 0 });
    await eventually(swept).toBe(1);
    await sweeper.close();
  });
});
