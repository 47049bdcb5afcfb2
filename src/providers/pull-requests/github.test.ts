import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  GITHUB_TOKEN,
  type GithubDouble,
  shaOf,
  startGithubDouble,
} from "../../../test/support/github-double.ts";
import { systemClock } from "../../foundation/clock.ts";
import type { PreviewReport } from "../../previews/index.ts";
import { createGithubPullRequests } from "./github.ts";

const never = new AbortController().signal;
let double: GithubDouble;
let now = new Date("2026-03-10T12:00:00Z");
const clock = { ...systemClock, now: () => now };
const github = (token: string | null = GITHUB_TOKEN) =>
  createGithubPullRequests({ api: double.url, token, clock });
const list = (port = github()) => port.open({ projectId: "prj_1", repository: double.repository }, never);

beforeEach(async () => {
  double = await startGithubDouble();
  now = new Date("2026-03-10T12:00:00Z");
});
afterEach(() => double.close());

const many = (count: number) => {
  for (let number = 1; number <= count; number++) double.open({ number });
};

it("tells a fork by its repository, and one whose repository is gone", async () => {
  for (const number of [1, 2, 3]) double.open({ number, fork: number === 2 });
  // GitHub's description does not allow for it; GitHub does it.
  const [first, second, third] = [...double.pulls.values()].map((pull) => structuredClone(pull));
  Object.assign(third?.head as object, { repo: null });
  double.faults = [{ status: 200, body: JSON.stringify([first, second, third]) }];
  expect((await list()).map(({ fork, cloneUrl }) => [fork, cloneUrl])).toEqual([
    [false, "https://github.com/Codertocat/Hello-World.git"],
    [true, "https://github.com/eve/Hello-World.git"],
    [true, null],
  ]);
});

describe("a page that fails fails the list", () => {
  it.each([
    ["503", { status: 503 }, "upstream"],
    // Octokit's own `paginate` takes this one for the end of the list.
    ["409", { status: 409 }, "upstream"],
    ["an answer that is cut off", { cut: true }, "upstream"],
    ["half a JSON text", { status: 200, body: '[{"number": 1' }, "upstream"],
    ["another shape", { status: 200, body: '[{"number": 1}]' }, "upstream"],
    ["a proxy's page", { status: 200, body: "<html>", headers: { "content-type": "text/html" } }, "upstream"],
    ["403 without a rate limit", { status: 403 }, "unprocessable"],
  ])("%s", async (_name, fault, code) => {
    many(150);
    double.faults = [{ page: 2, ...fault }];
    await expect(list()).rejects.toMatchObject({ name: "AppError", code, hint: expect.any(String) });
    expect(await list()).toHaveLength(150);
  });
});

it("after a rate limit asks nothing until it is over", async () => {
  const reset = String(now.getTime() / 1_000 + 600);
  const headers = { "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset };
  double.faults = [{ status: 403, headers }];
  const port = github();
  await expect(list(port)).rejects.toMatchObject({
    code: "upstream",
    message: expect.stringContaining("12:10:00"),
  });
  const asked = double.seen.length;
  await expect(list(port)).rejects.toMatchObject({ code: "upstream" });
  expect(double.seen).toHaveLength(asked);
  now = new Date(now.getTime() + 601_000);
  expect(await list(port)).toEqual([]);
});

it.each([
  ["retry-after", { "retry-after": "30" }, "12:00:30"],
  ["no header", {}, "12:01:00"],
])("429 with %s is a rate limit too", async (_name, headers, until) => {
  double.faults = [{ status: 429, headers }];
  await expect(list()).rejects.toMatchObject({ code: "upstream", message: expect.stringContaining(until) });
});

it("says that a token is not accepted, and never shows it", async () => {
  const error = await list(github("ghp_wrong")).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: "unprocessable", message: "GitHub does not accept the token." });
  expect(JSON.stringify({ ...error, message: error.message })).not.toContain("ghp_wrong");
});

it("asks for one pull request alone", async () => {
  double.open({ number: 1 });
  double.open({ number: 2 });
  double.closePull(2);
  const port = github();
  const isOpen = (number: number) => port.isOpen(double.repository, number, never);
  expect(await Promise.all([isOpen(1), isOpen(2), isOpen(3)])).toEqual([true, false, false]);
  double.faults = [{ status: 200, body: "{}" }];
  await expect(isOpen(1)).rejects.toMatchObject({ code: "upstream" });
});

describe("a report", () => {
  const report: PreviewReport = {
    project: "shop",
    pullRequest: 1,
    commit: shaOf(1),
    state: "success",
    url: "http://shop-pr-1.localhost:8080",
    description: "The preview is live.",
  };
  const say = (changes: Partial<PreviewReport> = {}) =>
    github().report(double.repository, { ...report, ...changes }, never);

  it("is a commit status, and one comment that changes, found among more than a page of others", async () => {
    double.open({ number: 1 });
    for (let id = 1; id <= 120; id++) double.comments.push({ id, issue: 1, body: "looks good" });
    await say({ state: "pending", url: null, description: "The preview is being made." });
    await say();
    await say();
    expect(double.statuses.map(({ sha, body }) => [sha, body.state, body.context])).toEqual([
      [shaOf(1), "pending", "signalbox/preview/shop"],
      [shaOf(1), "success", "signalbox/preview/shop"],
      [shaOf(1), "success", "signalbox/preview/shop"],
    ]);
    const ours = double.comments.filter(({ body }) => body.includes("Preview of shop"));
    expect(ours).toHaveLength(1);
    expect(ours[0]?.body).toContain("live. http://shop-pr-1.localhost:8080");
  });

  it("of a plain branch is the status alone", async () => {
    await say({ pullRequest: null });
    expect([double.statuses.length, double.comments.length]).toEqual([1, 0]);
  });

  it("that GitHub refuses throws", async () => {
    double.faults = [{ status: 403 }];
    await expect(say()).rejects.toMatchObject({
      code: "unprocessable",
      hint: expect.stringContaining("write"),
    });
  });
});
