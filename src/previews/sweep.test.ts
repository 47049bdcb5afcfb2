import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { shaOf } from "../../test/support/github-double.ts";
import { AS, type PreviewStand, previewStand } from "../../test/support/preview-stand.ts";
import { temporaryDirectory } from "../../test/support/trees.ts";
import { AppError } from "../foundation/errors.ts";
import { sweepPreviews } from "./index.ts";
import type { StepTaken } from "./tables.ts";

const DAY_MS = 86_400_000;
const never = new AbortController().signal;
let stand: PreviewStand;
let count = 0;
let name = "";
let project = "";

beforeAll(async () => {
  stand = await previewStand();
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(async () => {
  // A project of its own for each test: they share one database.
  name = `p${++count}`;
  project = await stand.makeProject(name);
  stand.github.pulls.clear();
  stand.github.missing.clear();
  stand.github.faults = [];
  stand.triggers.length = 0;
  stand.closed.length = 0;
  Object.assign(stand.fail, { trigger: null, triggerAfter: null, close: null });
});

const policy = (changes: Record<string, unknown> = {}) =>
  stand.request(AS.owner, "PUT", `/api/projects/${name}/previews`, {
    source: "github",
    repository: stand.github.repository,
    ...changes,
  });
const sweep = async () => (await sweepPreviews(stand.deps, project, never)) ?? [];
const shown = (steps: readonly StepTaken[]) => steps.map(({ kind, key }) => `${kind} ${key}`);
const previews = async () =>
  (await stand.request(AS.viewer, "GET", `/api/previews?project=${name}`)).body.previews;
const health = async () =>
  (await stand.request(AS.viewer, "GET", `/api/projects/${name}/previews`)).body.lastSweep;
const slots = async () => (await stand.deploymentsOf(project)).map(({ slot, state }) => `${slot} ${state}`);

const byHand = (branch: string) =>
  stand.deps.trigger(AS.deployer, {
    project: name,
    environment: "preview",
    branch,
    commit: undefined,
    pullRequest: null,
    source: { git: "https://x" },
    deliveryKey: `hand-${name}-${branch}`,
  });

/** One pull request with a live preview. */
async function live(number: number): Promise<void> {
  stand.github.open({ number });
  await sweep();
  await stand.settle(project, "live", `http://${name}-pr-${number}.localhost:8080`);
}

describe("a pull request", () => {
  it("that was opened is deployed once, and shown with its address, its end and why it is there", async () => {
    await policy();
    stand.github.open({ number: 42, branch: "fix/login" });
    expect(shown(await sweep())).toEqual(["deploy pr-42"]);
    expect(shown(await sweep())).toEqual(["keep pr-42"]);
    expect(stand.triggers).toEqual([
      {
        project: name,
        environment: "preview",
        branch: "fix/login",
        commit: shaOf(42),
        pullRequest: 42,
        source: { git: "https://github.com/Codertocat/Hello-World.git" },
        deliveryKey: expect.stringMatching(/^preview:[0-9a-f]{64}$/),
      },
    ]);
    await stand.settle(project, "live", "http://shop-pr-42.localhost:8080");
    const [preview] = await previews();
    expect(preview).toMatchObject({
      project: name,
      key: "pr-42",
      state: "live",
      url: "http://shop-pr-42.localhost:8080",
      why: "Pull request #42 is open.",
    });
    expect(Date.parse(preview.expiresAt) - Date.parse(preview.lastActivityAt)).toBe(7 * DAY_MS);
  });

  it("that gets a push is deployed again in its place, whatever its branch is called now", async () => {
    await policy();
    await live(42);
    stand.github.open({ number: 42, branch: "renamed", sha: shaOf(99) });
    expect(shown(await sweep())).toEqual(["deploy pr-42"]);
    expect(await slots()).toEqual(["preview:pr-42 live", "preview:pr-42 queued"]);
    // What serves meanwhile is still shown.
    expect((await previews())[0]).toMatchObject({
      state: "queued",
      url: `http://${name}-pr-42.localhost:8080`,
    });
  });

  it("that was closed loses everything, with an audit entry; nothing more is done about it", async () => {
    await policy();
    await live(42);
    stand.github.closePull(42);
    expect(shown(await sweep())).toEqual(["close pr-42"]);
    expect(await previews()).toEqual([]);
    expect(stand.closed).toEqual([{ projectId: project, key: "pr-42", reason: "pull request closed" }]);
    expect(await sweep()).toEqual([]);
    const entries = (await stand.audited("preview.close")).filter(({ subject_id }) =>
      subject_id.startsWith(project),
    );
    expect(entries).toEqual([{ actor_name: "previews", subject_id: `${project}/pr-42` }]);
  });

  it("that was reopened is deployed again, at the same commit", async () => {
    await policy();
    await live(42);
    stand.github.closePull(42);
    await sweep();
    stand.github.open({ number: 42 });
    expect(shown(await sweep())).toEqual(["deploy pr-42"]);
    expect(await slots()).toEqual(["preview:pr-42 superseded", "preview:pr-42 queued"]);
    expect((await previews())[0]).toMatchObject({ key: "pr-42", state: "queued" });
  });

  it("that nobody pushed to for its time expires, and comes back with a push", async () => {
    await policy();
    await live(42);
    stand.clock.move(7 * DAY_MS);
    expect((await sweep())[0]).toMatchObject({ kind: "close", why: "expired after 7 d" });
    expect((await sweep())[0]).toMatchObject({ kind: "skip", why: expect.stringContaining("next push") });
    expect(stand.triggers).toHaveLength(1);
    stand.github.push(42, shaOf(43));
    expect(shown(await sweep())).toEqual(["deploy pr-42"]);
  });

  it("that expired, was closed and is open again is deployed again", async () => {
    await policy();
    await live(42);
    stand.clock.move(7 * DAY_MS);
    await sweep();
    stand.github.closePull(42);
    expect(await sweep()).toEqual([]);
    stand.github.open({ number: 42 });
    expect(shown(await sweep())).toEqual(["deploy pr-42"]);
  });

  it("whose deployment failed is not deployed again and again", async () => {
    await policy();
    stand.github.open({ number: 42 });
    await sweep();
    await stand.settle(project, "failed");
    expect((await sweep())[0]).toMatchObject({ kind: "keep", why: expect.stringContaining("is failed") });
    expect(stand.triggers).toHaveLength(1);
  });

  it("of a fork gets none, and then the fork's own commits when the policy allows it", async () => {
    await policy();
    stand.github.open({ number: 7, fork: true });
    expect((await sweep())[0]).toMatchObject({ kind: "skip", why: expect.stringContaining("fork") });
    await policy({ forks: true, gitUrl: "https://git.example.com/ours.git" });
    await sweep();
    expect(stand.triggers[0]?.source.git).toBe("https://github.com/eve/Hello-World.git");
  });
});

describe("a host that cannot be read", () => {
  it("changes nothing; since when is shown, and is over with the next list", async () => {
    await policy();
    await live(42);
    await sweep();
    stand.github.pulls.clear();
    stand.github.faults = Array.from({ length: 2 }, () => ({ status: 503 }));
    await expect(sweep()).rejects.toMatchObject({ code: "upstream" });
    const since = (await health()).failingSince;
    stand.clock.move(60_000);
    await expect(sweep()).rejects.toMatchObject({ code: "upstream" });
    expect(await health()).toMatchObject({ failingSince: since, failure: expect.stringContaining("503") });
    expect((await previews()).map(({ key }: { key: string }) => key)).toEqual(["pr-42"]);
    expect(stand.closed).toEqual([]);
    stand.github.open({ number: 42 });
    await sweep();
    expect(await health()).toMatchObject({ failingSince: null, failure: null });
  });

  it("closes nothing for a list that missed one, and nothing when it cannot be asked for that one", async () => {
    await policy();
    await live(42);
    stand.github.missing.add(42);
    expect((await sweep())[0]).toMatchObject({
      kind: "keep",
      why: expect.stringContaining("list missed it"),
    });
    const broken = {
      ...stand.deps.providers.github,
      isOpen: () => Promise.reject(new AppError("upstream", "no")),
    };
    const deps = { ...stand.deps, providers: { ...stand.deps.providers, github: broken } };
    await expect(sweepPreviews(deps, project, never)).rejects.toMatchObject({ code: "upstream" });
    expect(stand.closed).toEqual([]);
  });
});

describe("whatever dies or comes at the same time", () => {
  it("two control planes that sweep at once make one deployment", async () => {
    await policy();
    stand.github.open({ number: 42 });
    const both = await Promise.all([1, 2, 3, 4].map(() => sweepPreviews(stand.deps, project, never)));
    expect(both.filter((steps) => steps !== null).length).toBeGreaterThan(0);
    expect(await slots()).toEqual(["preview:pr-42 queued"]);
  });

  it("many projects that are swept at once do not take each other's connections", async () => {
    const projects = await Promise.all(
      Array.from({ length: 30 }, (_, at) => stand.makeProject(`${name}-${at}`)),
    );
    const swept = await Promise.all(projects.map((id) => sweepPreviews(stand.deps, id, never)));
    expect(swept.filter((steps) => steps !== null).length).toBeGreaterThan(0);
    expect(await sweepPreviews(stand.deps, projects[0] ?? "", never)).toEqual([]);
  });

  it("a trigger whose answer was lost makes no second deployment", async () => {
    await policy();
    stand.github.open({ number: 42 });
    stand.fail.triggerAfter = new Error("killed");
    expect((await sweep())[0]).toMatchObject({ kind: "deploy", failed: expect.any(String) });
    stand.fail.triggerAfter = null;
    expect(shown(await sweep())).toEqual(["keep pr-42"]);
    expect(await slots()).toEqual(["preview:pr-42 queued"]);
  });

  it("a trigger that failed is tried again by the next sweep, and the others went on", async () => {
    await policy();
    stand.github.open({ number: 1 });
    stand.fail.trigger = new AppError("bad_request", "The configuration is wrong.", { hint: "Correct it." });
    expect((await sweep())[0]).toMatchObject({ failed: "The configuration is wrong. Correct it." });
    stand.fail.trigger = null;
    expect(shown(await sweep())).toEqual(["deploy pr-1"]);
  });

  it("a closing that was cut short is finished by the next sweep, and nothing takes its place before", async () => {
    await policy({ limit: 1 });
    await live(1);
    stand.github.closePull(1);
    stand.github.open({ number: 2 });
    stand.fail.close = new Error("killed");
    expect((await sweep()).map(({ kind, key, failed }) => [kind, key, failed !== undefined])).toEqual([
      ["close", "pr-1", true],
      ["deploy", "pr-2", true],
    ]);
    // Opened again meanwhile: what was begun is finished first.
    stand.github.open({ number: 1 });
    stand.fail.close = null;
    expect(shown(await sweep())).toContain("close pr-1");
    expect(await slots()).toContain("preview:pr-1 superseded");
    expect(
      (await stand.audited("preview.close")).filter(({ subject_id }) => subject_id.startsWith(project)),
    ).toHaveLength(1);
  });
});

describe("a preview that was deployed by hand", () => {
  it("is left alone by the sweep, and closed by whoever asks, its slashes and all", async () => {
    await byHand("fix/login");
    await policy();
    expect((await sweep())[0]).toMatchObject({ kind: "keep", why: expect.stringContaining("by hand") });
    expect((await previews())[0]).toMatchObject({ key: "branch-fix/login", expiresAt: null });
    const path = `/api/previews/${name}/${encodeURIComponent("branch-fix/login")}`;
    expect((await stand.request(AS.deployer, "DELETE", path)).status).toBe(204);
    expect(await previews()).toEqual([]);
  });
});

it("a branch that is called as a pull request goes has a place of its own, and is closed alone", async () => {
  await policy();
  stand.github.open({ number: 42 });
  await sweep();
  await byHand("pr-42");
  const keys = async () => (await previews()).map(({ key }: { key: string }) => key).sort();
  expect(await keys()).toEqual(["branch-pr-42", "pr-42"]);
  expect((await stand.request(AS.deployer, "DELETE", `/api/previews/${name}/branch-pr-42`)).status).toBe(204);
  expect(await keys()).toEqual(["pr-42"]);
});

describe("branches of a plain git repository", () => {
  it("have previews while they exist; the default branch and those with an environment have none", async () => {
    await using dir = await temporaryDirectory();
    const origin = join(dir.path, "shop");
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@x", "-C", dir.path, ...args]);
    git("init", "-q", "-b", "main", origin);
    const inside = (...args: string[]) => git("-C", "shop", ...args);
    inside("commit", "-q", "--allow-empty", "-m", "first");
    for (const branch of ["next", "fix/login", "wip/x"]) inside("branch", branch);
    await policy({
      source: "branches",
      repository: undefined,
      gitUrl: origin,
      exclude: ["wip/**"],
      deployOnPush: { next: "staging" },
    });
    expect(shown(await sweep()).sort()).toEqual([
      "deploy branch-fix/login",
      "skip branch-main",
      "skip branch-next",
      "skip branch-wip/x",
    ]);
    inside("branch", "-D", "fix/login");
    expect(await sweep()).toContainEqual(expect.objectContaining({ kind: "close", why: "branch deleted" }));
    expect(await previews()).toEqual([]);
  });
});

it("tells GitHub the address once for each change, and its silence fails no sweep", async () => {
  await policy({ commentUrl: true });
  await live(1);
  const deaf = {
    ...stand.deps.providers.github,
    report: () => Promise.reject(new AppError("upstream", "deaf")),
  };
  const deps = { ...stand.deps, providers: { ...stand.deps.providers, github: deaf } };
  expect(await sweepPreviews(deps, project, never)).toMatchObject([
    { kind: "keep", failed: expect.any(String) },
  ]);
  await sweep();
  await sweep();
  expect(stand.github.statuses).toHaveLength(1);
  expect(stand.github.comments.map(({ body }) => body)).toEqual([
    expect.stringContaining(`http://${name}-pr-1.localhost:8080`),
  ]);
});
