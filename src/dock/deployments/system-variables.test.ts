import { expect, test } from "vitest";
import type { Deployment } from "./queries.ts";
import { systemVariables } from "./system-variables.ts";

const row = (more: Partial<Deployment>): Deployment =>
  ({
    id: "dpl_1",
    project_id: "prj_1",
    name: "shop",
    url: "shop-1.localhost",
    target: null,
    branch: null,
    git: null,
    meta: {},
    ...more,
  }) as Deployment;

test("a production deployment from a repository knows where it came from", () => {
  const git = {
    remoteUrl: "https://github.com/acme/shop.git",
    commitSha: "abc123",
    commitMessage: "Mend the till",
    commitAuthorName: "Ada",
  };
  expect(systemVariables(row({ target: "production", branch: "main", git }), null, "localhost")).toEqual({
    fixed: {
      VERCEL: "1",
      VERCEL_ENV: "production",
      VERCEL_TARGET_ENV: "production",
      VERCEL_PROJECT_ID: "prj_1",
      VERCEL_PROJECT_PRODUCTION_URL: "shop.localhost",
      VERCEL_GIT_COMMIT_REF: "main",
      VERCEL_GIT_PROVIDER: "github",
      VERCEL_GIT_REPO_OWNER: "acme",
      VERCEL_GIT_REPO_SLUG: "shop",
    },
    own: {
      VERCEL_URL: "shop-1.localhost",
      VERCEL_BRANCH_URL: "shop-git-main.localhost",
      VERCEL_DEPLOYMENT_ID: "dpl_1",
      VERCEL_GIT_COMMIT_SHA: "abc123",
      VERCEL_GIT_COMMIT_MESSAGE: "Mend the till",
      VERCEL_GIT_COMMIT_AUTHOR_NAME: "Ada",
    },
  });
});

test.each([
  ["git@gitlab.com:group/sub/app.git", "gitlab", "group/sub", "app"],
  ["ssh://git@bitbucket.org:22/team/app", "bitbucket", "team", "app"],
  ["https://user:secret@git.example.com/team/app.git", undefined, "team", "app"],
])("the repository of %s", (remoteUrl, provider, owner, slug) => {
  const { fixed } = systemVariables(row({ git: { remoteUrl } }), null, "localhost");
  expect([fixed.VERCEL_GIT_PROVIDER, fixed.VERCEL_GIT_REPO_OWNER, fixed.VERCEL_GIT_REPO_SLUG]).toEqual([
    provider,
    owner,
    slug,
  ]);
  expect(JSON.stringify(fixed)).not.toContain("secret");
});

test("a custom environment is a preview with a name of its own; a pull request has its own host", () => {
  const staging = systemVariables(row({ custom_environment_id: "env_1" }), "staging", "localhost");
  expect(staging.fixed).toMatchObject({ VERCEL_ENV: "preview", VERCEL_TARGET_ENV: "staging" });
  expect(staging.own.VERCEL_BRANCH_URL).toBe("shop-staging.localhost");
  const { own } = systemVariables(row({ branch: "x", meta: { pullRequest: "7" } }), null, "localhost");
  expect(own).toMatchObject({ VERCEL_BRANCH_URL: "shop-pr-7.localhost", VERCEL_GIT_PULL_REQUEST_ID: "7" });
});

test("what is not known is left out", () => {
  const { fixed, own } = systemVariables(row({ git: { commitSha: 1, remoteUrl: "x" } }), null, "localhost");
  expect(Object.keys({ ...fixed, ...own }).filter((name) => name.includes("GIT"))).toEqual([]);
});
